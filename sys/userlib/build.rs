//! Lets the linker find `task.ld` for every task that depends on this crate.

fn main() {
    println!("cargo:rerun-if-changed=task.ld");
    let directory = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo:rustc-link-search={directory}");
}
