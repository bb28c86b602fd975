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
            /// All, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What is wrong in general, one line.
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
        "Every key is known, so that a slip of the pen is not taken for silence. docs/reference/app.md lists the keys of each table.";
    4 WrongType "a value of the wrong type",
        "The key wants another type: a string, a number from 0 up, true or false, a list, a table. Sizes and times are strings with a unit, such as \"64 KiB\" and \"20 ms\".";
    5 MissingKey "a key without which the table means nothing",
        "The table lacks a key that has no default, since any default would be a guess.";
    6 BadValue "a value that cannot be",
        "The value has the right type but no meaning: an unknown word, a size that is no power of two where one is needed, a number out of range.";
    7 BadName "a name that cannot be one, or is used twice",
        "Names have 1 to 24 letters, digits, `-` and `_`, the first a letter or digit; what the plan makes of them, such as `disk0-bar4` or `disk0-irq`, has as many. They are part of the image, of QEMU's command line and of reports. Functions of [pci] and [devices] share their names; pools of a task do as well.";
    10 UnknownTask "a task that does not exist",
        "A call, post, dependency, trust, waiver, containment unit or parameter names a task that no [tasks.NAME] declares. Taken silently, a waiver or unit would do nothing.";
    11 UnknownDevice "a device that does not exist",
        "`drives`, `audits`, `watches`, a named group or `virtual.of` names a device that no [devices.NAME] declares.";
    12 UnknownPlatformDevice "a platform device that does not exist",
        "`owns`, `smmu`, an iommu-map or a parameter names registers that the platform does not have. Platforms are in sys/platform, or in the [platform] table of the file.";
    13 UnknownBridge "a bridge or root bus that does not exist",
        "`at` or `expander-of` names something that is no table below [pci]. Without `at` a function is on the first root bus.";
    14 UnknownNotification "a notification that its task does not have",
        "A post is written `task.notification`, and the task must list that notification. Interrupts, timer and death bits belong to the kernel and cannot be posted.";
    15 UnknownDeviceModel "nothing is known of a device that must be set up",
        "A device that somebody drives gets its BARs placed and mapped, so their sizes must be known: from sys/platform/devices.toml by vendor and device id, or from the device's `bars`. A device that nobody drives may have unknown BARs.";
    20 NotUphill "a call that does not go uphill",
        "A task may call only tasks of higher priority, which have a smaller number. Otherwise two tasks could wait for each other for ever, and an unimportant one could hold up an important one. Downhill, use a post.";
    21 Supervisor "there must be one supervisor, and it comes first",
        "Exactly one task has the right `supervise`. It has the highest priority, alone, since it must run when any other misbehaves.";
    22 TooMany "more than there is room for",
        "Tables of kernel and servers have fixed sizes, so that nothing can run out at run time. The message says how many fit.";
    23 TwoOwners "a device with two owners",
        "A device is driven by one task. Two could not agree on its registers, and neither could be restarted without the other.";
    25 TwoAuthorities "two tasks where there can be one",
        "`dma-authority` and `reads-logs` belong to one task each: holds of dead drivers and log rings have one reader.";
    26 NoAuthority "nobody can open the SMMU",
        "Driven devices need a task with `dma-authority = true` that owns the SMMU; without it every stream aborts for ever.";
    27 NoCrate "a task without a program",
        "`crate` names a folder, relative to the file, with a Cargo.toml in it.";
    28 NoOwner "nobody owns what the devices need",
        "Driven devices need a task that owns the platform's PCI host and one that owns its SMMU.";
    31 SharedInterrupt "an interrupt line with two owners",
        "Level interrupts are masked when they are delivered and unmasked by the driver. With two owners either could hold off the other. The four INTx lines follow from slot and pin, swizzled through each bridge.";
    32 NoRoom "the apertures are too small",
        "BARs are packed by size into the platform's PCI apertures; behind a bridge in units of 1 MiB.";
    33 BadSlot "a slot that is not there",
        "The root bus has the slots that the platform leaves free; a link (below a root port or a downstream port) has only slot 0.";
    34 Loop "a bridge or root bus above itself",
        "Following `at` from bridge to bridge must end at a root bus, and `expander-of` names the first root bus of a root complex, which is no expander itself.";
    35 Place "a device in several places",
        "A device is in a slot (`at`, `slot`), a virtual function (`virtual`), or not on PCI (`streams`).";
    36 NoAccessControl "access control that the function does not have",
        "`acs = true` has the PCI task enable and check ACS at boot, which fails where the capability is missing. Without it the function isolates nothing.";
    37 NotBuildable "it can be planned, but not built",
        "The plan describes more machines than the servers of this version drive: foreign boards, several SMMUs or segments, virtual functions and bridges as alternatives in hotplug slots are planned and shown, but no image is made.";
    38 NotRunnable "it can be built, but not emulated",
        "`run`, `gdb` and `test` start the planned machine under QEMU, so each of its PCI functions needs a model there: from sys/platform/devices.toml by vendor and device id, or the function's `qemu`, as after QEMU's `-device`. A function without one would be missing at boot, and nothing would be given to anybody.";
    40 Domain "a demand that contradicts its use",
        "Nobody can claim a device whose domain is `blocked`.";
    43 NoQuiesce "a device that nobody can make quiet",
        "When a driver dies, memory its device could write stays held until the device is known to be quiet. So every driven device has a recipe: a function-level reset, a bus reset, a register to poll, or a time to wait; or `none`, and then the memory stays held until power-off.";
    44 Window "a window or region that cannot be",
        "IOVA windows are multiples of 2 MiB, page and block part together at most 1 GiB, since both lie below one level-2 table, and only a `dma` domain has one. Direct regions are whole pages, in RAM or outside as a whole, within what a domain translates, and not on registers of the platform.";
    45 Premapped "pools that cannot be premapped",
        "With `invalidation = \"premapped\"` the build step maps the pools of the device's owner in its window, and they are never unmapped; a request to map one gives the place it has. So the domain is translated, has one owner, whose pools fit the page part of the window, has no direct regions, which keep a stream open without a claim, and all its devices say the same.";
    50 Overlap "two ranges overlap",
        "Memory, registers and apertures of a platform must be apart: two tasks would share what each thinks its own. A direct region in RAM must not lie where the image is loaded.";
    51 MemoryFull "the memory of the platform is full",
        "Image, stacks, pools and tables do not fit the platform's memory. `cargo xtask sizes` shows what takes how much.";
    52 Parameter "a parameter without a meaning",
        "A parameter is a number, a time, or an address of the plan such as \"address:pool:TASK.POOL\".";
    53 Program "a program that cannot be placed",
        "The ELF file of kernel or task has segments that the image cannot take; the linker scripts are in sys/kern and sys/userlib.";
    54 OutOfReach "an address that the kernel cannot map",
        "The kernel reaches memory through a window of 256 GiB from physical address 0, and its first instructions the console in an identity map of 512 GiB. Memory and console of the platform have to lie there.";
    55 NestedInclude "an included file that includes another",
        "`include` names one file, whose tables count as if they stood in the file that names it. It is one level: who reads a system has two files to look at and no more.";
    501 InterruptNumber "an interrupt that the kernel does not route",
        "Devices signal shared interrupts of the GIC, INTIDs 32 to 1019. Below are those of a core, its timer among them, which are the kernel's; above are special numbers and message-signalled interrupts. A device tree counts from 32: `<0 n ...>` there is INTID 32 + n.";
    502 SharedPage "a page that two have",
        "Registers are mapped by pages of 4 KiB. If two blocks lie in one page, the task that has one has the other as well: so they are one device with one owner, and begin with the page.";
    503 UnknownHardware "a direct region over what nobody described",
        "A direct region is open to its device at any time. In memory it is kept free; where the platform's description has nothing, there may be hardware with a DMA engine behind no SMMU (QEMU's fw_cfg is one). Memory that only devices use is declared as `memory.other` of the platform.";
    504 UnheldPools "pools in reach while nobody is held",
        "In an identity domain the pools of its owners are mapped in the image, and who claims a device of it is held until the device is quiet. With a second owner, or a direct region that keeps the stream open without a claim, a device could write into the pool of a task that is started again. So such a domain has one owner, and no direct region, as one with `invalidation = \"premapped\"`.";
    505 Watch "registers of another's device",
        "`watches` maps the BARs of a device that another task drives. Who writes to them can reset it, and can make it reach what its driver mapped; on many devices reading has effects, too. That is what a device in its isolation group can do, so it takes the same: the driver trusts the watcher (`trusts`), and `cargo xtask plan` lists it.";
    506 TestRight "a right of tests in another image",
        "With the right `test` a task arms faults at another's system calls and reads the registers that a dead task left. No system needs that but one that is a test, whose file says so: `test-image = true`. Reports then say it, too.";
    507 NotYet "what cannot be declared yet",
        "Several cores (`core` of a task, [cores]), channels between tasks ([channels]), guests ([guests]) and networks ([network]) have their names in app.toml and plan.json already, so that a file of today means the same later, and nobody uses them for anything else. There is nothing behind them yet: the kernel runs on one core, core 0.";
}

impl Mistake {
    /// As diagnostics show it.
    pub fn code(self) -> String {
        format!("P{:04}", self as u16)
    }

    /// What helps in general, where the place tells nothing better.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Unreadable => "check the path, and that the file is text you may read",
            Self::Syntax => "correct the text at the caret",
            Self::UnknownKey => "remove the key, or write one of the known",
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
            Self::TooMany => "make do with fewer",
            Self::TwoOwners | Self::SharedInterrupt => "let one task own both",
            Self::TwoAuthorities => "take it from one of them",
            Self::NoAuthority | Self::NoOwner => "let a task own it",
            Self::NoCrate => "correct `crate`: a folder with a Cargo.toml, relative to this file",
            Self::NoRoom => "use a platform with larger apertures",
            Self::BadSlot => "choose a slot that is there and free",
            Self::Loop => "take `at` from the bridge that is on the root bus",
            Self::Place => "say where it is in one way",
            Self::NoAccessControl => "leave `acs` out",
            Self::NotBuildable => "plan it with `cargo xtask plan`; remove it from what is built",
            Self::Domain => "take away the demand or the driver",
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
            Self::TestRight => "take the right away",
            Self::NotYet => "leave it out",
            Self::OutOfReach => "load the image lower, if the platform has memory there",
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
