//! The bytes of the task's plan page.

/// The plan page, read-only and never changed while the system runs.
#[cfg(target_os = "none")]
pub(crate) fn bytes() -> &'static [u8] {
    const BASE: *const u8 = abi::layout::TASK_PLAN_BASE as *const u8;
    // SAFETY: at least one page is mapped read-only at this address in every task, for ever.
    let first = unsafe { core::slice::from_raw_parts(BASE, abi::layout::PAGE as usize) };
    let len = plan::Blob::claimed_len(first).unwrap_or(0) as usize;
    // SAFETY: the build step maps the whole blob whose length it wrote there.
    unsafe { core::slice::from_raw_parts(BASE, len) }
}

#[cfg(not(target_os = "none"))]
pub(crate) fn bytes() -> &'static [u8] {
    &[]
}
