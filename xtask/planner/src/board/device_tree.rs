//! The parts of a device tree blob about SMMUs and PCI hosts (Devicetree Specification 0.4;
//! bindings `arm,smmu-v3`, `pci-iommu`, `pci-msi`).

use fdt::Fdt;
use fdt::node::FdtNode;

/// The SMMUs and PCI hosts that a device tree has.
pub struct Tree {
    pub smmus: Vec<Smmu>,
    pub hosts: Vec<Host>,
    /// Every PCI host and SMMU says `dma-coherent`.
    pub coherent: bool,
    /// How firmware is called (binding `arm,psci`), if it is: `smc` or `hvc`.
    pub psci: Option<&'static str>,
}

/// An SMMUv3.
pub struct Smmu {
    pub name: String,
    pub base: u64,
    /// Bytes of its registers.
    pub len: u64,
    /// Name, INTID, edge-triggered.
    pub interrupts: Vec<(String, u32, bool)>,
    phandle: Option<u32>,
}

/// A PCI host bridge.
pub struct Host {
    pub name: String,
    pub segment: u16,
    /// Address of its configuration space.
    pub configuration: u64,
    /// Bytes of it.
    pub configuration_len: u64,
    /// Aperture below 4 GiB: bus address, one beyond the last.
    pub memory: Option<[u64; 2]>,
    /// Aperture for 64-bit BARs.
    pub prefetch: Option<[u64; 2]>,
    pub streams: Vec<StreamRow>,
    /// Bits of a requester id that `iommu-map` looks at; all without one.
    pub stream_mask: Option<u32>,
    pub messages: Vec<MessageRow>,
}

/// A row of `iommu-map`.
pub struct StreamRow {
    pub requester: u32,
    pub len: u32,
    pub smmu: String,
    pub stream: u32,
}

/// A row of `msi-map`.
pub struct MessageRow {
    pub requester: u32,
    pub len: u32,
    /// Phandle of the interrupt translation service.
    pub controller: u32,
    pub device: u32,
}

/// First INTID of a shared peripheral interrupt.
const SHARED_INTERRUPTS: u32 = 32;

/// Reads a blob.
pub fn read(blob: &[u8]) -> Result<Tree, String> {
    const MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];
    if blob.get(..4) != Some(&MAGIC[..]) {
        return Err(
            "it does not start like a device tree blob; compile a source with `dtc`".into(),
        );
    }
    // The crate trusts offsets inside the blob, so a damaged one may end in a panic.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(|| parse(blob));
    std::panic::set_hook(hook);
    result.unwrap_or_else(|_| Err("it is damaged".into()))
}

fn parse(blob: &[u8]) -> Result<Tree, String> {
    let tree = Fdt::new(blob).map_err(|error| format!("it is damaged: {error:?}"))?;
    let compatible = |node: &FdtNode<'_, '_>, what: &str| {
        node.compatible()
            .is_some_and(|list| list.all().any(|known| known == what))
    };
    let mut coherent = true;
    let mut smmus = Vec::new();
    for node in tree
        .all_nodes()
        .filter(|node| compatible(node, "arm,smmu-v3"))
    {
        coherent &= node.property("dma-coherent").is_some();
        smmus.push(smmu(&node, smmus.len())?);
    }
    if smmus.is_empty() {
        return Err("it has no node compatible with `arm,smmu-v3`".into());
    }
    let mut hosts = Vec::new();
    let pci = tree.all_nodes().filter(|node| {
        node.property("device_type").and_then(|kind| kind.as_str()) == Some("pci")
            && node.property("reg").is_some()
            && node.property("ranges").is_some()
    });
    for node in pci {
        coherent &= node.property("dma-coherent").is_some();
        hosts.push(host(&node, hosts.len(), &smmus)?);
    }
    let method = tree
        .find_node("/psci")
        .and_then(|node| node.property("method"))
        .and_then(|method| method.as_str());
    let psci = method.and_then(|method| ["smc", "hvc"].into_iter().find(|known| *known == method));
    Ok(Tree {
        smmus,
        hosts,
        coherent,
        psci,
    })
}

/// A property as 32-bit cells.
fn cells(node: &FdtNode<'_, '_>, name: &str) -> Vec<u32> {
    let value = node.property(name).map(|property| property.value);
    let chunks = value.unwrap_or_default().chunks_exact(4);
    chunks
        .filter_map(|chunk| chunk.try_into().ok().map(u32::from_be_bytes))
        .collect()
}

fn wide(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn region(node: &FdtNode<'_, '_>) -> Result<(u64, u64), String> {
    let first = node.reg().and_then(|mut regions| regions.next());
    let first = first.ok_or_else(|| format!("`{}` has no registers", node.name))?;
    let base = first.starting_address as usize as u64;
    Ok((base, first.size.unwrap_or(0) as u64))
}

fn smmu(node: &FdtNode<'_, '_>, index: usize) -> Result<Smmu, String> {
    let (base, len) = region(node)?;
    let names = node.property("interrupt-names").map(|names| names.value);
    let names: Vec<String> = names
        .unwrap_or_default()
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| match name {
            b"eventq" => "event".to_owned(),
            b"gerror" => "error".to_owned(),
            other => {
                String::from_utf8_lossy(other).replace(|c: char| !c.is_ascii_alphanumeric(), "-")
            }
        })
        .collect();
    // Kind, number, flags (bindings of `arm,gic-v3`); flag bits 1:0 are edges.
    let interrupts = cells(node, "interrupts");
    let interrupts = interrupts
        .chunks_exact(3)
        .zip(names)
        .filter_map(|(cells, name)| {
            let &[0, number, flags] = cells else {
                return None;
            };
            Some((name, number.checked_add(SHARED_INTERRUPTS)?, flags & 3 != 0))
        });
    Ok(Smmu {
        name: if index == 0 {
            "smmu".to_owned()
        } else {
            format!("smmu{index}")
        },
        base,
        len,
        interrupts: interrupts.collect(),
        phandle: cells(node, "phandle").first().copied(),
    })
}

fn host(node: &FdtNode<'_, '_>, index: usize, smmus: &[Smmu]) -> Result<Host, String> {
    let (configuration, configuration_len) = region(node)?;
    let segment = cells(node, "linux,pci-domain").first().copied();
    let segment = segment.unwrap_or(u32::try_from(index).unwrap_or(u32::MAX));
    let mut host = Host {
        name: if index == 0 {
            "pci".to_owned()
        } else {
            format!("pci{index}")
        },
        segment: u16::try_from(segment).map_err(|_| "a segment number has 16 bits".to_owned())?,
        configuration,
        configuration_len,
        memory: None,
        prefetch: None,
        streams: Vec::new(),
        stream_mask: cells(node, "iommu-map-mask").first().copied(),
        messages: Vec::new(),
    };
    // Three cells of PCI address, two of the processor's, two of the length.
    for row in cells(node, "ranges").chunks_exact(7) {
        let &[space, high, low, _, _, len_high, len_low] = row else {
            continue;
        };
        let base = wide(high, low);
        let range = Some([base, base.saturating_add(wide(len_high, len_low))]);
        match space >> 24 & 3 {
            2 => host.memory = host.memory.or(range),
            3 => host.prefetch = host.prefetch.or(range),
            _ => {}
        }
    }
    for row in cells(node, "iommu-map").chunks_exact(4) {
        let &[requester, phandle, stream, len] = row else {
            continue;
        };
        let smmu = smmus.iter().find(|smmu| smmu.phandle == Some(phandle));
        let smmu = smmu.ok_or_else(|| {
            format!(
                "the iommu-map of `{}` names phandle {phandle:#x}, which is no SMMUv3",
                node.name
            )
        })?;
        host.streams.push(StreamRow {
            requester,
            len,
            smmu: smmu.name.clone(),
            stream,
        });
    }
    for row in cells(node, "msi-map").chunks_exact(4) {
        if let &[requester, controller, device, len] = row {
            host.messages.push(MessageRow {
                requester,
                len,
                controller,
                device,
            });
        }
    }
    Ok(host)
}
