//! The reference's table of events in a task's life is the one that plans are written by.

use plan::kernel::LifeEvent;

#[test]
fn events_have_the_numbers_of_the_reference() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/ipc.md");
    let text = std::fs::read_to_string(path).expect("the reference");
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| number | event |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let found: Vec<(u32, String)> = rows
        .map(|row| {
            let mut cells = row.trim_matches('|').split('|').map(str::trim);
            let number = cells.next().and_then(|cell| cell.parse().ok());
            let name = cells.next().map(|cell| cell.trim_matches('`').to_owned());
            (number.expect("a number"), name.expect("a name"))
        })
        .collect();
    let defined = LifeEvent::ALL.map(|event| (event as u32, format!("{event:?}")));
    assert_eq!(found, defined);
    assert!((0..).zip(&found).all(|(place, row)| row.0 == place));
}
