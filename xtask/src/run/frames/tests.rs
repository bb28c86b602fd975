//! Tests of taking the stream apart.

use log_server::frame::{lost, record};

use super::*;

fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

fn torn(text: &str) -> Piece {
    Piece::Torn(text.to_owned())
}

fn all(mut splitter: Splitter, bytes: &[u8]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = bytes
        .iter()
        .flat_map(|&byte| splitter.push(&[byte]))
        .collect();
    pieces.extend(splitter.finish());
    pieces
}

#[test]
fn text_and_frames() {
    let mut bytes = b"kernel up\n".to_vec();
    bytes.extend(record(3, 0, &[0, 10, 0]));
    bytes.extend(lost(0x104, 1, 7));
    bytes.extend(b"panic");
    assert_eq!(
        all(Splitter::default(), &bytes),
        [
            text("kernel up"),
            Piece::Record(3, vec![0, 10, 0]),
            Piece::Lost(0x104, 7),
            text("panic")
        ]
    );
}

#[test]
fn resynchronises_after_a_torn_frame() {
    let mut bytes = vec![0, 0x41, 0x42, 0x03];
    bytes.extend(b"kernel panic");
    bytes.extend(record(1, 0, &[9]));
    let pieces = all(Splitter::default(), &bytes);
    let expected = [
        Piece::Damaged(3),
        torn("kernel panic"),
        Piece::Record(1, vec![9]),
    ];
    assert_eq!(pieces, expected);
}

#[test]
fn a_lost_delimiter_costs_no_frame() {
    let frames: Vec<u8> = (0..4u16).flat_map(|n| record(1, n, &[n as u8])).collect();
    let whole = all(Splitter::default(), &frames);
    for (at, _) in frames.iter().enumerate().filter(|(_, byte)| **byte == 0) {
        let mut cut = frames.clone();
        cut.remove(at);
        // At the very end nobody knows whether the last frame is complete.
        let kept = if at + 1 == frames.len() { 3 } else { 4 };
        let pieces = all(Splitter::default(), &cut);
        assert_eq!(pieces.get(..kept), whole.get(..kept), "without byte {at}");
    }
}

#[test]
fn a_stream_that_is_joined_in_the_middle() {
    let frame = record(1, 6, b"\nsupervisor: verdict: pass\n");
    let mut bytes = frame.get(8..).unwrap().to_vec();
    bytes.extend(record(1, 7, &[7]));
    let pieces = all(Splitter::joined(), &bytes);
    assert!(
        pieces.contains(&torn("supervisor: verdict: pass")),
        "{pieces:?}"
    );
    assert!(!pieces.iter().any(|piece| matches!(piece, Piece::Text(_))));
    assert_eq!(pieces.last(), Some(&Piece::Record(1, vec![7])));
}

#[test]
fn what_never_ends_is_no_frame() {
    let mut splitter = Splitter::default();
    let mut pieces = splitter.push(&[0]);
    for _ in 0..5000 {
        pieces.extend(splitter.push(&[0xff]));
    }
    pieces.extend(splitter.push(&record(1, 0, &[9])));
    assert_eq!(pieces.last(), Some(&Piece::Record(1, vec![9])));
    let damaged = pieces.iter().map(|piece| match piece {
        Piece::Damaged(bytes) => *bytes,
        _ => 0,
    });
    assert_eq!(damaged.sum::<usize>(), 5000);
}

#[test]
fn a_pause_shows_the_last_words_in_a_torn_frame() {
    let mut splitter = Splitter::default();
    let mut bytes = record(1, 0, &[1, 2, 3]).to_vec();
    bytes.truncate(4);
    bytes.extend(b"\nportcullis: the kernel gave up\n");
    assert_eq!(splitter.push(&bytes), []);
    let words = torn("portcullis: the kernel gave up");
    assert_eq!(splitter.pause().last(), Some(&words));
}
