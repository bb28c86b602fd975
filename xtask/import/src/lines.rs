//! The lines of a dump, without what its way here added: an encoding, the marks of a mail, an indentation, complaints.

use crate::form::{header, whole_hex_line};

/// The text of a file: UTF-8, or UTF-16 as some shells write it, with or without a byte order mark.
pub fn decode(bytes: &[u8]) -> String {
    let wide = |from: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|b| from([b[0], b[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => wide(u16::from_be_bytes, rest),
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => wide(u16::from_le_bytes, bytes),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => wide(u16::from_be_bytes, bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        // Names of devices may be in any encoding; what is read are ids and digits.
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// One line.
#[derive(Debug)]
pub(crate) struct Line {
    /// Its number in the file, from 1; of the first of several that were one.
    pub number: usize,
    pub text: String,
}

/// How messages on the standard error begin that got into a file.
const COMPLAINTS: [&str; 5] = ["lspci: ", "pcilib: ", "libkmod: ", "sudo: ", "[sudo] "];
/// Lines of a message in the middle of a hexadecimal line that are looked through for its rest.
const LONGEST: usize = 4;

/// The lines, and the numbers of those with a complaint in them.
pub(crate) fn lines(text: &str) -> (Vec<Line>, Vec<usize>) {
    let unquoted: Vec<String> = text
        .split('\n')
        .map(|line| unquote(line.trim_end()).replace('\u{a0}', " "))
        .collect();
    let indentation = unquoted.iter().find_map(|line| {
        let rest = line.trim_start();
        header(rest).map(|_| line[..line.len() - rest.len()].to_owned())
    });
    let indentation = indentation.unwrap_or_default();
    let lines = unquoted.iter().enumerate().map(|(index, line)| Line {
        number: index + 1,
        text: line.strip_prefix(&indentation).unwrap_or(line).to_owned(),
    });
    mend(lines.collect())
}

/// Without the marks of a quotation.
fn unquote(line: &str) -> &str {
    let mut line = line;
    while let Some(rest) = line.strip_prefix('>') {
        line = rest.strip_prefix(' ').unwrap_or(rest);
    }
    line
}

/// Takes complaints out. One in the middle of a line ends with a line break of its own, and the line goes on after it.
fn mend(lines: Vec<Line>) -> (Vec<Line>, Vec<usize>) {
    let mut mended: Vec<Line> = Vec::with_capacity(lines.len());
    let mut complaints = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let number = line.number;
        let mut text = line.text.clone();
        at += 1;
        let mut is_complaint = false;
        while let Some(start) = complaint(&text) {
            is_complaint = true;
            complaints.push(number);
            text.truncate(start);
            let rest = match (start, lines.get(at)) {
                (0, _) | (_, None) => break,
                (_, Some(rest)) => rest,
            };
            at += 1;
            text.push_str(&rest.text);
        }
        if let Some((whole, used)) = whole(&text, &lines[at..]) {
            complaints.push(number);
            text = whole;
            at += used;
        }
        if !is_complaint || !text.is_empty() {
            mended.push(Line { number, text });
        }
    }
    (mended, complaints)
}

/// Where a known complaint begins.
fn complaint(text: &str) -> Option<usize> {
    COMPLAINTS.iter().filter_map(|mark| text.find(mark)).min()
}

/// A hexadecimal line that something unknown stands in the middle of, mended, and how many of the lines that follow are
/// used up: its rest has exactly the length that is missing.
fn whole(text: &str, following: &[Line]) -> Option<(String, usize)> {
    let (offset, _) = text.split_once(": ")?;
    let digits = offset.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !digits || !(2..=3).contains(&offset.len()) || whole_hex_line(text) {
        return None;
    }
    let len = offset.len() + 2 + 16 * 3 - 1;
    let mut following = following.iter().take(LONGEST).enumerate();
    following.find_map(|(index, rest)| {
        let cut = len.checked_sub(rest.text.len())?;
        if cut < offset.len() + 2 {
            return None;
        }
        // Bytes in the place of words would leave open which are the function's.
        let bytes = |b: u8| b.is_ascii_hexdigit() || b == b' ';
        if text.get(cut..)?.bytes().all(bytes) && cut < text.len() {
            return None;
        }
        let whole = format!("{}{}", text.get(..cut)?, rest.text);
        whole_hex_line(&whole).then_some((whole, index + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "00:00.0 0604: 1d87:3588";
    const HEX: &str = "00: 87 1d 88 35 06 00 10 00 00 00 04 06 00 00 01 00";

    fn texts(text: &str) -> Vec<String> {
        lines(text).0.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn encodings_of_shells() {
        let text = "00:00.0 x\r\n";
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let other: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [b"\xff\xfe", wide.as_slice()].concat(),
            [b"\xfe\xff", other.as_slice()].concat(),
            wide,
            other,
        ] {
            assert_eq!(decode(&bytes), text);
            assert_eq!(texts(&decode(&bytes))[0], "00:00.0 x");
        }
        assert_eq!(decode(b""), "");
        assert_eq!(decode(b"caf\xe9"), "caf\u{fffd}");
    }

    #[test]
    fn marks_of_a_mail_and_indentations() {
        let text = format!("> > {FIRST}\n>> {HEX}\n> > \tKernel\n");
        assert_eq!(texts(&text)[..3], [FIRST, HEX, "\tKernel"]);
        let text = format!("$ lspci\n    {FIRST}\n    {HEX}\n    \tKernel\n");
        assert_eq!(texts(&text)[..4], ["$ lspci", FIRST, HEX, "\tKernel"]);
    }

    /// At every place of every line, known and unknown, one and two of them.
    #[test]
    fn complaints_anywhere_are_taken_out() {
        let plain = format!("{FIRST}\n{HEX}\n");
        for at in 0..plain.len() {
            for (complaint, known) in [
                ("lspci: Unable to load libkmod resources: error -2\n", true),
                ("pcilib: a\nlspci: b\n", true),
                ("error: de ad be ef\n", false),
            ] {
                // An unknown one is found in hexadecimal lines, behind their offset.
                if !known && at < FIRST.len() + 5 {
                    continue;
                }
                let text = format!("{}{complaint}{}", &plain[..at], &plain[at..]);
                let (found, complaints) = lines(&text);
                let found: Vec<&str> = found.iter().map(|line| line.text.as_str()).collect();
                assert_eq!(found[..2], [FIRST, HEX], "{complaint:?} at {at}");
                assert!(!complaints.is_empty(), "{complaint:?} at {at}");
            }
        }
    }

    /// Digits in the middle of digits are not guessed at.
    #[test]
    fn what_is_missing_stays_missing() {
        let text = format!("{FIRST}\n{}00 00\n{}\n", &HEX[..40], &HEX[40..]);
        assert_ne!(texts(&text)[1], HEX);
        let text = format!("{FIRST}\n{}\n{}\n", &HEX[..30], HEX.replacen("00", "10", 1));
        assert_eq!(texts(&text)[1], &HEX[..30]);
    }
}
