//! The linker script repeats two addresses of the ABI, which it cannot include.

#[test]
fn tasks_are_linked_where_the_abi_says() {
    let script = include_str!("../task.ld");
    let base = format!(". = {:#010x};", abi::layout::TASK_IMAGE_BASE);
    assert!(script.contains(&base), "{base} is not in task.ld");
}

#[test]
fn nothing_of_a_program_reaches_the_plan_page() {
    let script = include_str!("../task.ld");
    let bases: Vec<u64> = script
        .lines()
        .filter_map(|line| line.trim().strip_prefix(". = 0x")?.strip_suffix(';'))
        .map(|hex| u64::from_str_radix(hex, 16).expect("an address"))
        .collect();
    assert_eq!(bases.len(), 2);
    assert!(bases.iter().all(|&base| base < abi::layout::TASK_PLAN_BASE));
}
