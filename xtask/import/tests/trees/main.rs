//! Device trees of `tests/data/trees`, with what is right for each.

mod damage;
mod fabric;
mod system;
mod units;

use import::board::Board;

/// The blob of that name.
fn blob(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/trees");
    std::fs::read(format!("{folder}/{name}.dtb")).unwrap()
}

/// What a tree states.
fn board(name: &str) -> Board {
    import::device_tree::read(&blob(name)).unwrap_or_else(|errors| panic!("{name}: {errors:?}"))
}

/// Why a tree is refused, all reasons in one text.
fn refused(name: &str) -> String {
    let errors = import::device_tree::read(&blob(name)).unwrap_err();
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Whether a word about that node has the text.
fn says(board: &Board, place: &str, text: &str) -> bool {
    let words = board.words.iter().filter(|word| word.place.0 == place);
    words.into_iter().any(|word| word.problem.contains(text))
}
