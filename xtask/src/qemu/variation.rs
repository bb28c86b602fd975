//! A machine that is not the planned one: variations of the command line that the plan gives.

use planner::failure::{Failure, Outcome};

/// One difference of the machine from the planned one; functions are named as in the plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Variation {
    /// The function is not there.
    Remove(String),
    /// A function of this model, with its properties, is in its place.
    Model(String, String),
    /// The device has these properties as well; if one is given twice, the later counts.
    With(String, String),
    /// The device has one more property, with a number.
    WithNumber(String, String, u64),
    /// A function that the plan does not have, as after `-device`.
    Add(String),
}

impl Variation {
    /// Makes the difference in the command line; fails if it has no such function.
    pub fn apply(&self, arguments: &mut Vec<String>) -> Outcome<()> {
        match self {
            Self::Remove(name) => {
                let at = find(arguments, name)?;
                // With the word `-device` before it.
                arguments.drain(at - 1..=at);
            }
            Self::Model(name, model) => {
                let device = device(arguments, name)?;
                if let Some((_, place)) = device.split_once(",id=") {
                    *device = format!("{model},id={place}");
                }
            }
            Self::With(name, properties) => {
                let device = device(arguments, name)?;
                device.push(',');
                device.push_str(properties);
            }
            Self::WithNumber(name, property, number) => {
                device(arguments, name)?.push_str(&format!(",{property}={number}"));
            }
            Self::Add(device) => {
                arguments.extend(["-device".to_owned(), device.clone()]);
            }
        }
        Ok(())
    }
}

/// Position of a function's description; the word `-device` is before it.
fn find(arguments: &[String], name: &str) -> Outcome<usize> {
    let is_it = |pair: &[String]| {
        let mut properties = pair[1].split(',');
        pair[0] == "-device"
            && properties.any(|property| property.strip_prefix("id=") == Some(name))
    };
    let found = arguments.windows(2).position(is_it).map(|at| at + 1);
    found.ok_or_else(|| Failure::new(format!("the machine has no function `{name}` to change")))
}

fn device<'a>(arguments: &'a mut [String], name: &str) -> Outcome<&'a mut String> {
    let at = find(arguments, name)?;
    arguments
        .get_mut(at)
        .ok_or_else(|| Failure::new(format!("`{name}` is not described")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varied(variation: &Variation) -> Option<String> {
        let line = "-m 1G -device edu,id=edu0,bus=rp1,addr=0.0 -device nvme,id=edu,addr=2.0";
        let mut arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        variation.apply(&mut arguments).ok()?;
        Some(arguments.join(" "))
    }

    #[test]
    fn each_kind() {
        let two = "-m 1G -device edu,id=edu0,bus=rp1,addr=0.0";
        assert_eq!(
            varied(&Variation::Remove("edu".into())).as_deref(),
            Some(two)
        );
        let other = varied(&Variation::Model("edu0".into(), "nvme,serial=a".into()));
        assert!(other.is_some_and(|line| line.contains("nvme,serial=a,id=edu0,bus=rp1,addr=0.0 ")));
        let more = varied(&Variation::With("edu".into(), "serial=a".into()));
        assert!(more.is_some_and(|line| line.ends_with("nvme,id=edu,addr=2.0,serial=a")));
        let added = varied(&Variation::Add("edu,bus=rp1".into()));
        assert!(added.is_some_and(|line| line.ends_with(" -device edu,bus=rp1")));
        assert_eq!(varied(&Variation::Remove("edu1".into())), None);
    }
}
