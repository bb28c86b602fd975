//! The kinds of mistakes, their stable numbers, and what `cargo xtask explain` says of each. Those of the
//! solver, from 300, are in its crate.

macro_rules! mistakes {
    ($($number:literal $name:ident $title:literal, $long:literal;)*) => {
        /// Stable number of each kind of mistake. A number is never used for anything else.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u16)]
        pub enum Mistake {
            $(#[doc = $title] $name = $number,)*
        }

        impl Mistake {
            /// All kinds of mistakes, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The mistake in general, in one line.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }

            /// The long text.
            pub fn explain(self) -> &'static str {
                match self {
                    $(Self::$name => $long,)*
                }
            }
        }
    };
}

mistakes! {
    1 Unreadable "a file cannot be read",
        "The file does not exist, is not text in UTF-8, or may not be read by you. The message has the system's reason.";
    2 Syntax "a file is not TOML",
        "The text breaks the rules of TOML 1.0 at the place shown: a quote or bracket is missing, a key is written twice, a value has no type. Nothing else is checked until it can be read.";
    3 UnknownKey "a key that its table does not have",
        "A key that the table does not have is an error, so that a misspelt key is not ignored. docs/reference/app.md lists the keys of each table.";
    4 WrongType "a value of the wrong type",
        "The key wants another type: a string, a number from 0 up, true or false, a list, a table. Sizes and times are strings with a unit, such as \"64 KiB\" and \"20 ms\".";
    5 MissingKey "a required key is missing",
        "The table lacks a key that has no default, because any default would be a guess.";
    6 BadValue "a value that has no meaning",
        "The value has the right type but no meaning: an unknown word, a size that is no power of two where one is needed, a number out of range.";
    7 BadName "a name that cannot be one, or is used twice",
        "Names have 1 to 24 letters, digits, `-` and `_`, the first a letter or digit. Names that the plan derives from them, such as `disk0-bar4` or `disk0-irq`, have this limit as well. They are part of the image, of QEMU's command line and of reports. No two functions have one name, whether they are in [pci] or in [devices], and no two pools of a task have one name.";
    10 UnknownTask "a task that does not exist",
        "A call, post, dependency, trust, waiver, containment unit or parameter names a task that no [tasks.NAME] declares. Without this error such a waiver or unit would silently have no effect.";
    11 UnknownDevice "a device that does not exist",
        "`drives`, `audits`, `watches`, a named group or `virtual.of` names a device that no [devices.NAME] declares.";
    12 UnknownPlatformDevice "a platform device that does not exist",
        "`owns`, `smmu`, an iommu-map or a parameter names registers that the platform does not have. Platforms are in sys/platform, or in the [platform] table of the file.";
    13 UnknownBridge "a bridge or root bus that does not exist",
        "`at` or `expander-of` names something that is no table below [pci]. Without `at` a function is on the first root bus.";
    14 UnknownNotification "a notification that its task does not have",
        "A post is written `task.notification`, and the task must list that notification. Interrupts, timer and death bits belong to the kernel and cannot be posted.";
    15 UnknownDeviceModel "a device must be set up, but its BARs are not known",
        "A device that somebody drives gets its BARs placed and mapped, so their sizes must be known: from sys/platform/devices.toml by vendor and device id, or from the device's `bars`. A device that nobody drives may have unknown BARs.";
    20 NotUphill "a call that does not go uphill",
        "A task may call only tasks of higher priority, which have a smaller number. Otherwise two tasks could wait for each other for ever, and an unimportant one could hold up an important one. Downhill, use a post.";
    21 Supervisor "there must be one supervisor, and it comes first",
        "Exactly one task has the right `supervise`. It alone has the highest priority, because it must run when any other task misbehaves.";
    22 TooMany "more than there is room for",
        "Tables of kernel and servers have fixed sizes, so that nothing can run out at run time. The message says how many fit.";
    23 TwoOwners "a device with two owners",
        "A device is driven by one task. Two tasks could not agree on its registers, and neither could be restarted without the other.";
    25 TwoAuthorities "two tasks have what only one may have",
        "`dma-authority` and `reads-logs` belong to one task each: only one task may hold dead drivers, and only one may read the log rings.";
    26 NoAuthority "no task can open the SMMU",
        "Driven devices need a task with `dma-authority = true` that owns the SMMU; without it every stream aborts for ever.";
    27 NoCrate "a task without a program",
        "`crate` names a folder, relative to the file, with a Cargo.toml in it.";
    28 NoOwner "no task owns what the devices need",
        "Driven devices need a task that owns the platform's PCI host and one that owns its SMMU.";
    31 SharedInterrupt "an interrupt line with two owners",
        "Level interrupts are masked when they are delivered and unmasked by the driver. With two owners each could keep the other's interrupts masked. The four INTx lines follow from slot and pin, swizzled through each bridge.";
    32 NoRoom "the apertures are too small",
        "BARs are placed by size into the platform's PCI apertures; those behind a bridge take units of 1 MiB.";
    33 BadSlot "a slot that does not exist",
        "The root bus has the slots that the platform leaves free; a link (below a root port or a downstream port) has only slot 0.";
    34 Loop "a bridge or root bus above itself",
        "Following `at` from bridge to bridge must end at a root bus, and `expander-of` names the first root bus of a root complex, which is no expander itself.";
    35 Place "a device in several places",
        "A device is in a slot (`at`, `slot`), a virtual function (`virtual`), or not on PCI (`streams`).";
    36 NoAccessControl "access control that the function does not have",
        "With `acs = true` the PCI task enables and checks ACS at boot, which fails if the function does not have the capability. A function without ACS isolates nothing.";
    37 NotBuildable "it can be planned, but not built",
        "The plan describes more machines than the servers of this version drive: foreign boards, several segments, domains of several SMMUs, virtual functions and bridges as alternatives in hotplug slots are planned and shown, but no image is made.";
    38 NotRunnable "it can be built, but not emulated",
        "`run`, `gdb` and `test` start the planned machine under QEMU, so each of its PCI functions needs a model there: from sys/platform/devices.toml by vendor and device id, or the function's `qemu`, as after QEMU's `-device`. A function without a model would be missing at boot, and every claim would be refused.";
    40 Domain "a demand that contradicts its use",
        "Nobody can claim a device whose domain is `blocked`.";
    43 NoQuiesce "a device that cannot be made quiet",
        "When a driver dies, memory its device could write stays held until the device is known to be quiet. So every driven device has a recipe: a function-level reset, a bus reset, a register to poll, or a time to wait; or `none`, and then the memory stays held until power-off.";
    44 Window "a window or region that is not possible",
        "IOVA windows are multiples of 2 MiB, page and block part together at most 1 GiB, because both lie below one level-2 table. Only a `dma` domain has a window. Direct regions are whole pages, lie wholly in RAM or wholly outside, within the addresses that a domain translates, and not on registers of the platform.";
    45 Premapped "pools that cannot be premapped",
        "With `invalidation = \"premapped\"` the build step maps the pools of the device's owner in its window, and they are never unmapped; a request to map one returns the address that it already has. So the domain must be translated, and all its devices must say the same. It must have one owner, whose pools fit the page part of the window. It must have no direct regions, because these keep a stream open without a claim.";
    50 Overlap "two ranges overlap",
        "Memory, registers and apertures of a platform must not overlap: otherwise two tasks would share what each thinks is its own. A direct region in RAM must not lie where the image is loaded.";
    51 MemoryFull "the memory of the platform is full",
        "Image, stacks, pools and tables do not fit the platform's memory. `cargo xtask sizes` shows how much each of them takes.";
    52 Parameter "a parameter without a meaning",
        "A parameter is a number, a time, an address of the plan such as \"address:pool:TASK.POOL\", or the number of a device, \"number:DEVICE\".";
    53 Program "a program that cannot be placed",
        "The ELF file of kernel or task has segments that the image cannot take; the linker scripts are in sys/kern and sys/userlib.";
    54 OutOfReach "an address that the kernel cannot map",
        "Tables have physical addresses of 48 bits; 52 would need other descriptors (LPA2), which are not built. The kernel reaches memory through a window of 256 GiB that begins at a multiple of its size: what the image uses cannot lie on both sides of one, nor take the last page before it.";
    55 NestedInclude "an included file that includes another",
        "`include` names one file, whose tables count as if they stood in the file that names it. An included file cannot include another, so that a reader of a system has to look at two files and no more.";
    501 InterruptNumber "an interrupt that the kernel does not route",
        "Devices signal shared interrupts of the GIC, INTIDs 32 to 1019. Lower numbers are interrupts of a core, such as its timer, which belong to the kernel. Higher numbers are special, or message-signalled interrupts. A device tree counts from 32: `<0 n ...>` there is INTID 32 + n.";
    502 SharedPage "two blocks of registers in one page",
        "Registers are mapped by pages of 4 KiB. If two blocks lie in one page, the task that has one has the other as well. So they must be one device with one owner, and it must begin at the page.";
    503 UnknownHardware "a direct region over undescribed addresses",
        "A direct region is open to its device at any time. In RAM the build step places nothing else there. Where the platform's description has nothing, there may be hardware with a DMA engine that is behind no SMMU, such as QEMU's fw_cfg. Memory that only devices use is declared as `memory.other` of the platform.";
    504 UnheldPools "pools in reach while no task is held",
        "In an identity domain the pools of its owners are mapped in the image, and a task that claims one of its devices is held until the device is quiet. With a second owner, or a direct region that keeps the stream open without a claim, a device could write into the pool of a task that is started again. So such a domain must have one owner and no direct region, like a domain with `invalidation = \"premapped\"`.";
    505 Watch "registers of another task's device",
        "`watches` maps the BARs of a device that another task drives. A task that writes to them can reset the device, and can make it reach what its driver mapped; in many devices reading has effects, too. Devices in its isolation group can do the same, so the same is needed: the driver must trust the watcher (`trusts`). `cargo xtask plan` lists the watcher.";
    506 TestRight "a right for tests in an image that is no test",
        "With the right `test` a task can make other tasks fail at a system call, and read the registers of dead tasks. Only a test needs that, and its file says `test-image = true`. Every report then says so, too.";
    507 NotYet "a declaration that is not possible yet",
        "Several cores (`core` of a task, [cores]), channels between tasks ([channels]), guests ([guests]) and networks ([network]) have reserved names in app.toml and plan.json, so that nothing else uses these names and today's files keep their meaning. None of these features exists yet: the kernel runs on one core, core 0.";
    508 Overbooked "more processor time than there is",
        "Budgets promise processor time, and there is one processor. A task that declares none has an even share of what the others leave, but at least 50 us in 10 ms. If all together are more than the whole, the less urgent ones may get less than their budget; every task still runs no longer than its own. docs/reference/time.md says what a budget promises.";
    509 TrustedBudget "a budget of a task without a limit",
        "A budget limits what a task does of itself. A task with `trusted-time = true` has no limit, nor has the supervisor, which must run when any other misbehaves. So it is one or the other.";
    510 Lend "a pool that cannot be lent as a whole",
        "`lends` lets the driver of a device have a pool of this task pinned as a whole, once, and then have pages of it mapped and unmapped without asking again. A pool is lent with a call, so the lender must call the device's driver; and the driver must be somebody. The pool is one of the lender's, and not more of it than there is.";
    511 Lazy "unmaps that cannot be lazy",
        "With `invalidation = \"lazy\"` an unmap does not wait for the SMMU, and the device reaches what was unmapped until a later flush: so many pages, for so long. All driven devices of a domain use the same entries, so they must say the same, bounds included. A device behind an external port must be strict, since nobody trusts what may be plugged in there. Tasks that lend buffers to the driver take them back before the flush, so each of them must trust the driver (`trusts`). Where nothing is unmapped, as a device is blocked, mapped 1:1 or not translated, nothing can be lazy.";
    512 Messages "interrupts by messages that are not possible",
        "With `interrupt = \"msi\"` or `\"msi-x\"` a function signals by writing to the doorbell of the interrupt translation service (ITS) of a GICv3. So the platform must have one, and a task must own it: `task/its`. The service tells functions apart by the requester id that their writes carry; a function whose writes may carry several ids, or that of another function, signals by lines. The table of MSI-X lies in a BAR, whose place must be known: from sys/platform/devices.toml, or from the device's `msi-x`.";
    520 AddressBits "a device that cannot drive the addresses it needs",
        "In an `identity` domain, or with a stream that is not translated, a device uses memory at the addresses that memory has, so it must drive as many address bits as the end of memory takes, because a pool may be placed anywhere. The same holds for its direct regions. A `dma` domain has a window that lies within the device's bits, wherever memory is.";
}

impl Mistake {
    /// The code as diagnostics show it.
    pub fn code(self) -> String {
        format!("P{:04}", self as u16)
    }

    /// The general remedy, where the place tells nothing better.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Unreadable => "check the path, and that the file is text you may read",
            Self::Syntax => "correct the text at the caret",
            Self::UnknownKey => "remove the key, or write one that the table has",
            Self::WrongType | Self::BadValue => "write what is expected there",
            Self::MissingKey => "add what is missing",
            Self::BadName => "choose another name",
            Self::UnknownTask => "name a declared task, or declare this one as [tasks.NAME]",
            Self::UnknownDevice => "name a declared device, or declare this one as [devices.NAME]",
            Self::UnknownPlatformDevice => "name one of the platform's devices",
            Self::UnknownBridge => {
                "name a declared bridge or root bus, or declare this one as [pci.NAME]"
            }
            Self::UnknownNotification => {
                "write `task.notification`, and list it in that task's `notifications`"
            }
            Self::UnknownDeviceModel => "declare what is not known",
            Self::NotUphill => "give the server a smaller priority number",
            Self::Supervisor => "let one task supervise, alone at the smallest priority number",
            Self::TooMany => "declare fewer",
            Self::TwoOwners | Self::SharedInterrupt => "let one task own both",
            Self::TwoAuthorities => "remove it from one of them",
            Self::NoAuthority | Self::NoOwner => "let a task own it",
            Self::NoCrate => "correct `crate`: a folder with a Cargo.toml, relative to this file",
            Self::NoRoom => "use a platform with larger apertures",
            Self::BadSlot => "choose a slot that is there and free",
            Self::Loop => "remove `at` of the bridge that is on the root bus",
            Self::Place => "say where it is in one way",
            Self::NoAccessControl => "leave `acs` out",
            Self::NotBuildable => "plan it with `cargo xtask plan`; remove it from what is built",
            Self::Domain => "remove the demand or the driver",
            Self::NotRunnable => "write the model as the function's `qemu`",
            Self::NoQuiesce => "declare `quiesce`",
            Self::Window => "correct base or size",
            Self::Premapped => "write `invalidation = \"strict\"`",
            Self::Overlap => "move one of them",
            Self::MemoryFull => "make stacks, pools or logs smaller",
            Self::InterruptNumber => "write the INTID of a shared interrupt",
            Self::SharedPage => "declare them as one device",
            Self::UnknownHardware => "declare what is there",
            Self::UnheldPools => "let the domain be `dma`",
            Self::Watch => "leave it out of `watches`",
            Self::TestRight => "remove the right",
            Self::NotYet => "leave it out",
            Self::Overbooked => "make budgets smaller or their periods longer",
            Self::TrustedBudget => "leave `budget` out",
            Self::Lend => "leave the device out of `lends`",
            Self::Lazy => "write `invalidation = \"strict\"`",
            Self::Messages => "write `interrupt = \"intx\"`",
            Self::AddressBits => "let it demand `domain = \"dma\"`",
            Self::OutOfReach => "load the image elsewhere (`memory.image` of the platform)",
            Self::NestedInclude => "write its tables into the included file",
            Self::Parameter => "write one of the known forms",
            Self::Program => "build the program with the linker script of this repository",
        }
    }

    /// The mistake whose code is `text`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|mistake| mistake.code() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::Mistake;

    #[test]
    fn codes_are_apart_from_each_other_and_from_the_solvers() {
        let mut codes: Vec<String> = Mistake::ALL.iter().map(|mistake| mistake.code()).collect();
        codes.extend(solver::Code::ALL.iter().map(ToString::to_string));
        let count = codes.len();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
