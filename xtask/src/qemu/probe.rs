//! The machines of a QEMU: asked of the program itself, without a guest.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use smmu::Features;
use smmu::registers::{AIDR, GBPA, IDR0, IDR1, IDR3, IDR5};

use super::Qemu;

/// How long an emulator may take to start and to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The registers that tell one SMMU from another. `GBPA` reads 0 where it does not exist.
const REGISTERS: [usize; 6] = [IDR0, IDR1, IDR3, IDR5, AIDR, GBPA];

/// The registers of an SMMU that tell what it can do, as after a reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registers([u32; REGISTERS.len()]);

impl Registers {
    pub fn features(&self) -> Features {
        let [idr0, idr1, idr3, idr5, aidr, _] = self.0;
        Features::decode(idr0, idr1, idr3, idr5, aidr)
    }
}

/// The versioned types of the machine family `virt`, by their versions, ascending.
pub fn machines(qemu: &Qemu) -> Vec<((u32, u32), String)> {
    let output = qemu.command().args(["-machine", "help"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    versioned(&text.unwrap_or_default())
}

/// `virt-7.2             QEMU 7.2 ARM Virtual Machine`.
fn versioned(help: &str) -> Vec<((u32, u32), String)> {
    let mut found: Vec<_> = help
        .lines()
        .filter_map(|line| {
            let name = line.split_whitespace().next()?;
            let (major, minor) = name.strip_prefix("virt-")?.split_once('.')?;
            Some(((major.parse().ok()?, minor.parse().ok()?), name.to_owned()))
        })
        .collect();
    found.sort();
    found
}

/// The registers of the SMMU at `base` of the machine that the arguments describe. The guest does not run; they
/// are read over the socket for QEMU's own device tests. The error is QEMU's message, or this tool's if there is none.
pub fn registers(qemu: &Qemu, arguments: &[String], base: u64) -> Result<Registers, String> {
    let mut child = qemu
        .command()
        .args(arguments)
        .args(["-S", "-nodefaults", "-display", "none"])
        .args(["-qtest", "stdio", "-qtest-log", "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run {}: {error}", qemu.program.display()))?;
    let questions: String = REGISTERS
        .iter()
        .map(|register| format!("readl {:#x}\n", base + *register as u64))
        .collect();
    if let Some(input) = &mut child.stdin {
        // An emulator that has ended already tells why below.
        let _ = input.write_all(questions.as_bytes());
    }
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        std::thread::spawn(move || {
            let answers = BufReader::new(output).lines().map_while(Result::ok);
            let values = answers.filter_map(|line| value(&line));
            let _ = sender.send(values.take(REGISTERS.len()).collect::<Vec<u32>>());
        });
    }
    let values = receiver.recv_timeout(PATIENCE).unwrap_or_default();
    // It has no guest and nothing to save.
    let _ = child.kill();
    let mut said = String::new();
    if let Some(errors) = &mut child.stderr {
        let _ = errors.read_to_string(&mut said);
    }
    let _ = child.wait();
    match values.try_into() {
        Ok(values) => Ok(Registers(values)),
        Err(_) => Err(said
            .lines()
            .next()
            .map_or("it does not let its registers be read", |line| {
                line.split_once(": ").map_or(line, |(_, rest)| rest)
            })
            .to_owned()),
    }
}

/// `OK 0x000000000d40101a`.
fn value(answer: &str) -> Option<u32> {
    let digits = answer.strip_prefix("OK 0x")?;
    u64::from_str_radix(digits.trim(), 16)
        .ok()
        .map(|value| value as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_types() {
        let help = "Supported machines are:\n\
            virt-10.0            QEMU 10.0 ARM Virtual Machine\n\
            virt                 QEMU 10.0 ARM Virtual Machine (alias of virt-10.0)\n\
            virt-7.2             QEMU 7.2 ARM Virtual Machine\n\
            virt-2.12            QEMU 2.12 ARM Virtual Machine (deprecated)\n\
            xlnx-versal-virt     Xilinx Versal Virtual development board\n";
        let names: Vec<String> = versioned(help).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["virt-2.12", "virt-7.2", "virt-10.0"]);
    }

    #[test]
    fn answers() {
        assert_eq!(value("OK 0x000000000d40101a"), Some(0x0d40_101a));
        assert_eq!(value("OK"), None);
        assert_eq!(value("FAIL Unknown command"), None);
    }

    #[test]
    fn an_emulator_that_ends_at_once() {
        let qemu = Qemu {
            program: "false".into(),
            version: (7, 2),
        };
        let why = registers(&qemu, &[], 0).unwrap_err();
        assert_eq!(why, "it does not let its registers be read");
        assert!(machines(&qemu).is_empty());
    }
}
