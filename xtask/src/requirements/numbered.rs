//! Requirements as the reference defines them.

/// A sentence of the reference that says what must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The requirement's number, such as `IPC-SEND-1`.
    pub number: String,
    /// The requirement's first line, without markup.
    pub text: String,
}

/// All requirements of a page: bullets that begin with a bold number.
pub fn requirements(page: &str) -> Vec<Requirement> {
    page.lines()
        .filter_map(|line| {
            let (number, text) = line.strip_prefix("* **")?.split_once("**")?;
            is_number(number).then(|| Requirement {
                number: number.to_owned(),
                text: text.trim().replace('`', ""),
            })
        })
        .collect()
}

/// Two words of capitals or digits, and a count from 1.
fn is_number(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let [book, chapter @ .., count] = parts.as_slice() else {
        return false;
    };
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
    };
    is_word(book)
        && !chapter.is_empty()
        && chapter.iter().all(|word| is_word(word))
        && count.parse::<u32>().is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bullets_with_a_number_are_requirements() {
        let page = "# T\n* **IPC-SEND-1** A `send` MUST\n  wait.\n* **Note** no\nsee **IPC-SEND-2**\n* **A-B-0** no\n";
        let expected = Requirement {
            number: "IPC-SEND-1".to_owned(),
            text: "A send MUST".to_owned(),
        };
        assert_eq!(requirements(page), [expected]);
    }
}
