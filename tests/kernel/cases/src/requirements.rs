//! What the cases hold the kernel to.

/// Number and sentence of each requirement.
pub const REQUIREMENTS: &[(&str, &str)] = &[
    (
        "SEND-1",
        "A message of up to 64 bytes arrives in the payload registers, with operation, length and sender.",
    ),
    (
        "SEND-2",
        "A longer message is copied into the receiver's buffer, as far as that goes; its true length is told.",
    ),
    (
        "SEND-3",
        "A send needs the right to send to that task, which only goes to higher priorities.",
    ),
    (
        "SEND-4",
        "A malformed descriptor or target faults the sender.",
    ),
    (
        "SEND-5",
        "A send to an earlier or later life than the current one returns DEAD.",
    ),
    (
        "SEND-6",
        "A send to a task that is down returns DOWN, or HELD if it will not come back; it never waits.",
    ),
    (
        "SEND-7",
        "The death of the receiver ends the send at once with DEAD, whether it was received or not.",
    ),
    (
        "SEND-8",
        "Of queued senders the highest priority is received first, among equals the one that came first.",
    ),
    (
        "RECV-1",
        "Pending notifications in the mask are received before messages, and only those in the mask.",
    ),
    (
        "RECV-2",
        "A closed receive takes messages of one sender only, and leaves the others queued.",
    ),
    (
        "RECV-3",
        "A closed receive from a task that is dead, or dies, returns DEAD.",
    ),
    ("RECV-4", "A malformed receive faults the receiver."),
    ("REPLY-1", "A reply's payload and code reach the caller."),
    (
        "REPLY-2",
        "A reply longer than the caller's capacity faults the replier.",
    ),
    (
        "REPLY-3",
        "A reply to a task that does not wait for it does nothing.",
    ),
    ("REPLY-4", "Replies may be given in any order."),
    ("REPLY-5", "Codes of the kernel cannot be replied."),
    (
        "REPLY-6",
        "A reply-and-receive with a malformed receive faults before it replies.",
    ),
    (
        "SLICE-1",
        "A message, reply buffer or receive buffer lies in one region of the caller that allows the access.",
    ),
    ("SLICE-2", "A slice of no bytes may have any base."),
    (
        "SLICE-3",
        "Device registers are never message memory; a DMA pool is.",
    ),
    (
        "LEASE-1",
        "The receiver copies from and to a lease while the lender waits for its reply.",
    ),
    (
        "LEASE-2",
        "A borrow beyond the lease, or of an access it does not grant, returns LEASE_BOUNDS.",
    ),
    (
        "LEASE-3",
        "A borrow of a lease that does not exist, or not for this borrower, returns NO_LEASE.",
    ),
    (
        "LEASE-4",
        "A lease lies in one region of the lender that allows what it grants; else the lender is faulted.",
    ),
    ("LEASE-5", "A malformed borrow faults the borrower."),
    ("LEASE-6", "A borrow from a lender that died returns DEAD."),
    ("POST-1", "Posted bits accumulate until they are received."),
    (
        "POST-2",
        "A post needs the right to these bits of that task.",
    ),
    (
        "POST-3",
        "A post to a stale id returns DEAD, to a task that is down DOWN.",
    ),
    (
        "TIMER-1",
        "A deadline notifies once; one that has passed notifies at once.",
    ),
    (
        "TIMER-2",
        "A timer can be replaced and stopped, and ends with the life of its task.",
    ),
    ("IRQ-1", "A task controls its own interrupts only."),
    (
        "FAULT-1",
        "An access that the task's memory does not allow kills the task, and the supervisor sees kind and address.",
    ),
    ("FAULT-2", "An overflowing stack is told from other faults."),
    (
        "FAULT-3",
        "A panic leaves its text where the supervisor can read it.",
    ),
    (
        "FAULT-5",
        "An instruction that EL0 may not execute, or from where it may not execute, kills the task.",
    ),
    (
        "FAULT-6",
        "An undefined system call, or one with undefined arguments, faults the caller.",
    ),
    (
        "FAULT-7",
        "What the architecture defines without a trap goes on.",
    ),
    (
        "FAULT-4",
        "A task that runs longer than its limit without blocking is stopped.",
    ),
    (
        "LIFE-1",
        "The generation advances at death, not at the restart.",
    ),
    (
        "LIFE-2",
        "A restarted task finds its initial data, and no notifications of the life before.",
    ),
    ("LIFE-3", "Dependants are told when a task is up again."),
    (
        "RIGHT-1",
        "Each privileged call faults a caller without its right.",
    ),
    (
        "RIGHT-2",
        "A privileged call that does not exist faults the caller.",
    ),
    (
        "RIGHT-3",
        "The supervisor cannot stop itself, nor restart what is alive.",
    ),
    ("TEST-1", "A fault is injected at the n-th system call."),
    (
        "TEST-2",
        "Registers and memory of the dead, and only of the dead, can be read.",
    ),
    (
        "HOLD-1",
        "The death of a held task is posted to the authority; it cannot be restarted until its holds are lifted.",
    ),
    (
        "HOLD-2",
        "Holds are idempotent, name a current life, and can be enumerated by device.",
    ),
    (
        "PIN-1",
        "Whole pages of a pool that a client lent to a driver can be pinned while both wait; the lender is then held.",
    ),
    (
        "REFRESH-1",
        "Refresh tells current id and state of any task.",
    ),
];
