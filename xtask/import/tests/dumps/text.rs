//! Dumps that are text only: what it tells is taken, what it cannot tell is said.

use import::{AcsState, Config, ErrorKind, Function, machine, parse, read};
use solver::model::FunctionKind;
use solver::{Options, solve};

use super::{dump, errors, kinds};

/// What `lspci -Dnnvvv` writes of a function, with the layout of pciutils 3.x.
fn told(function: &Function) -> String {
    let flag = |on: bool| if on { '+' } else { '-' };
    let mut lines = vec![format!(
        "{} Class [{:04x}]: Vendor Device [{:04x}:{:04x}] (rev 01)",
        function.address,
        function.class >> 8,
        function.vendor,
        function.device
    )];
    lines.push(format!(
        "\tControl: I/O+ Mem{} BusMaster+",
        flag(function.config.decodes_memory())
    ));
    if function.pin > 0 {
        lines.push(format!(
            "\tInterrupt: pin {} routed to IRQ 35",
            char::from(b'@' + function.pin)
        ));
    }
    for bar in &function.bars {
        let kind = match bar.kind {
            import::BarKind::Io => format!("I/O ports at {:x}", bar.address),
            import::BarKind::Memory32 => {
                format!("Memory at {:08x} (32-bit, non-prefetchable)", bar.address)
            }
            import::BarKind::Memory64 => {
                format!("Memory at {:x} (64-bit, prefetchable)", bar.address)
            }
        };
        lines.push(format!("\tRegion {}: {kind} [size=4K]", bar.index));
    }
    if let Some([primary, secondary, subordinate]) = function.buses {
        lines.push(format!(
            "\tBus: primary={primary:02x}, secondary={secondary:02x}, subordinate={subordinate:02x}, sec-latency=0"
        ));
    }
    let slot = if function.hotplug { "+" } else { "-" };
    let port = match function.kind {
        FunctionKind::RootPort => format!("Root Port (Slot{slot}), MSI 00"),
        FunctionKind::UpstreamPort => "Upstream Port, MSI 00".into(),
        FunctionKind::DownstreamPort => format!("Downstream Port (Slot{slot}), MSI 00"),
        FunctionKind::PcieToPci => "PCI-Express to PCI/PCI-X Bridge, MSI 00".into(),
        FunctionKind::Endpoint => "Endpoint, MSI 00".into(),
        FunctionKind::RootComplexEndpoint => "Root Complex Integrated Endpoint, MSI 00".into(),
        FunctionKind::EventCollector => "Root Complex Event Collector, MSI 00".into(),
        _ => String::new(),
    };
    if !port.is_empty() {
        lines.push(format!("\tCapabilities: [54] Express (v2) {port}"));
        lines.push(format!(
            "\t\t\tExtTag- AttnBtn- FLReset{} SlotPowerLimit 0W",
            flag(function.function_reset)
        ));
        lines.push(format!(
            "\t\tSltCap:\tAttnBtn+ PwrCtrl+ HotPlug{} Surprise-",
            flag(function.hotplug)
        ));
    }
    if function.config.extended() {
        lines.push("\tCapabilities: [100 v2] Advanced Error Reporting".into());
    }
    lines.extend(access_control(function));
    lines.join("\n") + "\n\n"
}

/// The lines about its access control.
fn access_control(function: &Function) -> Vec<String> {
    let flag = |on: bool| if on { '+' } else { '-' };
    let mut lines = Vec::new();
    if let Some(acs) = function.acs {
        let names = [
            "SrcValid",
            "TransBlk",
            "ReqRedir",
            "CmpltRedir",
            "UpstreamFwd",
            "EgressCtrl",
            "DirectTrans",
        ];
        let bits = |bits: u16| {
            let flags = names.iter().enumerate();
            flags
                .map(|(bit, name)| format!(" {name}{}", flag(bits >> bit & 1 == 1)))
                .collect::<String>()
        };
        lines.push("\tCapabilities: [148 v1] Access Control Services".into());
        lines.push(format!("\t\tACSCap:\t{}", bits(acs.implemented)));
        lines.push(format!("\t\tACSCtl:\t{}", bits(acs.enabled)));
    }
    lines
}

fn all_told() -> String {
    parse(&dump()).unwrap().iter().map(told).collect()
}

#[test]
fn text_tells_what_configuration_space_does() {
    let whole = parse(&dump()).unwrap();
    let found = read(&all_told()).unwrap_or_else(|errors| panic!("{}", errors[0]));
    assert_eq!(found.functions.len(), whole.len());
    for (one, other) in found.functions.iter().zip(&whole) {
        let facts = |f: &Function| {
            (
                f.address,
                f.kind,
                f.vendor,
                f.device,
                f.class >> 8,
                f.acs,
                f.buses,
                f.function_reset,
                f.pin,
                f.hotplug,
            )
        };
        assert_eq!(facts(one), facts(other));
        let bars = |f: &Function| {
            f.bars
                .iter()
                .map(|b| (b.index, b.kind, b.address))
                .collect::<Vec<_>>()
        };
        assert_eq!(bars(one), bars(other), "{}", one.address);
        assert!(one.bars.iter().all(|bar| bar.size == Some(4096)));
    }
    let has = |words: &str| found.warnings.iter().any(|warning| warning.contains(words));
    assert!(
        has("text only") && has("does not say"),
        "{:?}",
        found.warnings
    );
    let groups = |functions: &[Function]| {
        let solution = solve(&machine(functions, AcsState::AsIs), &Options::default());
        solution
            .groups
            .into_iter()
            .map(|group| group.devices)
            .collect::<Vec<_>>()
    };
    assert_eq!(groups(&found.functions), groups(&whole));
}

/// `-v` names capabilities only; without root none is named; without numbers no ids.
#[test]
fn text_that_tells_too_little() {
    let terse: String = all_told()
        .lines()
        .filter(|line| !line.contains("ACSC"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    let found = errors(&terse);
    assert!(
        found.iter().any(|error| error.kind == ErrorKind::TooTerse),
        "{found:?}"
    );
    let flags = all_told().replace("\tControl:", "\tFlags: bus master, fast devsel,");
    let found = errors(&flags);
    assert_eq!(found.len(), 1);
    assert!(found[0].help.contains("-vvv"));
    let user: String = all_told()
        .lines()
        .filter(|line| !line.contains("\t\t"))
        .map(|line| match line.starts_with("\tCapabilities") {
            true => "\tCapabilities: <access denied>\n".into(),
            false => line.to_owned() + "\n",
        })
        .collect();
    assert!(kinds(&user).contains(&ErrorKind::NotRoot));
    let names = all_told().replace("[1b36:", "(1b36:");
    assert!(errors(&names)[0].message.contains("ids are neither"));
}

/// Text beside a configuration space changes nothing that the latter tells.
#[test]
fn configuration_space_is_believed() {
    let spaces = |text: &str| {
        parse(text)
            .unwrap()
            .into_iter()
            .map(|f| f.config)
            .collect::<Vec<Config>>()
    };
    let text = dump().replace(
        "0000:00:01.0 0604: 1b36:000c",
        "0000:00:01.0 0604: 1b36:000c\n\tBus: primary=00, secondary=09, subordinate=09\n\tx",
    );
    assert_eq!(spaces(&text), spaces(&dump()));
}
