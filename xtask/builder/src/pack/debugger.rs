//! A script for gdb. All tasks are linked at one address, so gdb can hold the symbols of one at a time, and a
//! breakpoint must ask whose address space it is in. Breakpoints are set at addresses: gdb loses one that refers to
//! symbols which are dropped.

use std::fmt::Write;

use abi::layout::TASK_IMAGE_BASE;

use super::elf_name;
use crate::layout::Roots;
use planner::planning::Plan;

/// Name of the script in a dist folder.
pub const DEBUGGER: &str = "gdb.script";

/// `task-NAME` for each task, and `break-task`.
pub fn debugger(plan: &Plan, roots: &Roots) -> String {
    let mut text = format!(
        "# `task-NAME` takes that task's symbols; `break-task FUNCTION` stops in that task only.
set confirm off
set pagination off
set architecture aarch64
file kernel.elf
set $task_loaded = 0

define drop-task
  if $task_loaded
    remove-symbol-file -a {TASK_IMAGE_BASE:#x}
    set $task_loaded = 0
  end
end
document drop-task
Forget the symbols of the chosen task.
end

define break-task
  info line $arg0
  eval \"break *%#lx if $TTBR0_EL1 == %#lx\", (long)$_, $task_space
end
document break-task
break-task FUNCTION: stop at a function of the chosen task, and only in that task.
end
"
    );
    for (task, space) in plan.app.tasks.iter().zip(&roots.tasks) {
        let name = &task.name.value;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "
define task-{name}
  drop-task
  add-symbol-file {file}
  set $task_loaded = 1
  set $task_space = {space:#x}
end
document task-{name}
Take the symbols of {name}, for break-task and for whatever is at a task's addresses.
end
",
            file = elf_name(name)
        );
    }
    text
}
