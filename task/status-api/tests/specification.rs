//! The tables of `docs/reference/status-protocol.md` say what the code does.

use status_api::{Error, OPERATION, Subject, VERSION};

fn page() -> String {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/status-protocol.md"
    );
    std::fs::read_to_string(file).expect("the specification")
}

/// Rows of the table whose head begins with this cell, without the head.
fn table(head: &str) -> Vec<Vec<String>> {
    let page = page();
    let head = format!("| {head} |");
    let rows = page.lines().skip_while(|line| !line.starts_with(&head));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| {
        let row = row.trim_matches('|').replace('`', "");
        row.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(cells).collect()
}

#[test]
fn subjects() {
    let rows = table("subject");
    assert_eq!(rows.len(), Subject::ALL.len());
    let servers = ["supervisor", "IOMMU server", "IOMMU server", "PCI task"];
    for ((row, subject), server) in rows.iter().zip(Subject::ALL).zip(servers) {
        assert_eq!(row[0], (subject as u32).to_string());
        assert_eq!(row[1], server);
    }
}

#[test]
fn errors() {
    let rows = table("code");
    assert_eq!(rows.len(), Error::ALL.len());
    for (row, error) in rows.iter().zip(Error::ALL) {
        assert_eq!(row[0], (error as u32).to_string());
        assert_eq!(row[1], format!("{error:?}"));
    }
}

#[test]
fn operation_and_version() {
    assert!(page().contains(&format!("`{OPERATION:#x}`")));
    assert!(page().contains(&format!("the version, which is {VERSION};")));
}
