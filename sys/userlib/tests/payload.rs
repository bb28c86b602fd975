//! Bytes become register payload in little-endian order, whatever their number.

use userlib::ipc::payload_of;

#[test]
fn every_length_up_to_the_registers() {
    let bytes: Vec<u8> = (1..=64).collect();
    for len in 0..=64 {
        let payload = payload_of(&bytes[..len]);
        let mut expected = [0u8; 64];
        expected[..len].copy_from_slice(&bytes[..len]);
        let words: Vec<u8> = payload.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(words, expected, "{len} bytes");
    }
}

#[test]
fn what_travels_through_memory_leaves_the_registers_alone() {
    assert_eq!(payload_of(&[0xff; 65]), [0; 8]);
}
