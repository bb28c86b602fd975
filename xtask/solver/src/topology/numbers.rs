//! Bus numbers.

use super::{Builder, Frame};
use crate::diagnostic::{Code, Diagnostic};
use crate::solution::BridgeBuses;

impl Builder<'_> {
    /// Gives a bridge its secondary bus number; the frame for what is below it.
    pub(super) fn open(&mut self, node: usize, frame: &Frame) -> Option<Frame> {
        let entry = &self.machine.nodes[node];
        let segment = self.placed[node].requester.map_or(0, |r| r.segment);
        let pinned = entry.function.buses.secondary;
        let wanted = pinned.map_or_else(
            || {
                let mut bus = frame.next;
                while u8::try_from(bus).is_ok_and(|bus| self.pinned.contains(&bus)) {
                    bus += 1;
                }
                bus
            },
            u16::from,
        );
        let free = u8::try_from(wanted).ok().filter(|bus| {
            *bus > frame.bus && *bus <= frame.last && self.used.insert((segment, *bus))
        });
        let Some(secondary) = free else {
            let mut diagnostic = Diagnostic::new(
                Code::BusNumbers,
                match pinned {
                    // Firmware that found nothing to configure leaves 0; what is below cannot be addressed.
                    Some(0) => format!("`{}` has no secondary bus number", entry.name),
                    Some(bus) => format!(
                        "`{}` cannot have secondary bus {bus:02x}: it is taken, or outside {:02x} to {:02x}",
                        entry.name,
                        u16::from(frame.bus) + 1,
                        frame.last
                    ),
                    None => format!("no bus number is left for `{}`: the last is {:02x}", entry.name, frame.last),
                },
            )
            .device(self.machine, node, format!("`{}`", entry.name));
            if let Some(above) = frame.bridge {
                let above = &self.machine.nodes[above];
                diagnostic =
                    diagnostic.party(format!("`{}` is above it", above.name), above.source);
            }
            self.diagnostics.push(diagnostic);
            return None;
        };
        let subordinate = entry.function.buses.subordinate;
        self.placed[node].buses = Some(BridgeBuses {
            primary: frame.bus,
            secondary,
            subordinate: secondary,
        });
        Some(Frame {
            bridge: Some(node),
            bus: secondary,
            at: 0,
            ranges: Vec::new(),
            virtuals: Vec::new(),
            next: u16::from(secondary) + 1,
            last: subordinate.unwrap_or(frame.last).min(frame.last),
        })
    }

    /// The ranges of two bridges on one bus are apart: a request for a bus in both would have two ways.
    pub(super) fn check_range(&mut self, node: usize, frame: &mut Frame) {
        let Some(buses) = self.placed[node].buses else {
            return;
        };
        let (first, last) = (buses.secondary, buses.subordinate);
        let taken = frame
            .ranges
            .iter()
            .find(|(_, from, to)| first <= *to && *from <= last);
        if let Some(&(other, from, to)) = taken {
            let (entry, other_entry) = (&self.machine.nodes[node], &self.machine.nodes[other]);
            self.diagnostics.push(
                Diagnostic::new(
                    Code::BusNumbers,
                    format!(
                        "`{}` has buses {first:02x} to {last:02x}, and `{}` {from:02x} to {to:02x}: they overlap",
                        entry.name, other_entry.name
                    ),
                )
                .device(self.machine, node, format!("`{}`", entry.name))
                .device(self.machine, other, format!("`{}`", other_entry.name)),
            );
        }
        frame.ranges.push((node, first, last));
        let inside = |(_, bus): &&(usize, u8)| (first..=last).contains(bus);
        if let Some(&(function, bus)) = frame.virtuals.iter().find(inside) {
            self.virtual_behind(function, bus, node);
        }
    }

    /// The bus of a virtual function is in the range of no bridge beside it, which would take its requests.
    pub(super) fn check_virtual_bus(&mut self, node: usize, bus: u8, frame: &mut Frame) {
        if bus == frame.bus {
            return;
        }
        let leads = |(_, from, to): &&(usize, u8, u8)| (*from..=*to).contains(&bus);
        if let Some(&(bridge, ..)) = frame.ranges.iter().find(leads) {
            self.virtual_behind(node, bus, bridge);
        }
        frame.virtuals.push((node, bus));
    }

    fn virtual_behind(&mut self, node: usize, bus: u8, bridge: usize) {
        let [entry, beside] = [node, bridge].map(|node| &self.machine.nodes[node]);
        let message = format!(
            "`{}` is on bus {bus:02x}, which `{}` beside it leads to",
            entry.name, beside.name
        );
        self.diagnostics.push(
            Diagnostic::new(Code::BusNumbers, message)
                .device(self.machine, node, format!("`{}`", entry.name))
                .device(self.machine, bridge, format!("`{}`", beside.name)),
        );
    }

    /// Whether the bus of a virtual function is one it can have: in the segment, below what its physical
    /// function is below, and not behind a bridge.
    pub(super) fn check_virtual(
        &mut self,
        node: usize,
        physical: usize,
        id: u32,
        frame: &Frame,
    ) -> bool {
        let bus = id >> 8;
        let segment = self.placed[physical].requester.map_or(0, |r| r.segment);
        let fault = match u8::try_from(bus) {
            Ok(bus) if bus == frame.bus => return true,
            Ok(bus) if bus > frame.last => {
                format!(
                    "is on bus {bus:02x}, beyond {:02x}, the last there",
                    frame.last
                )
            }
            Ok(bus) => {
                let free = self.used.insert((segment, bus));
                if free {
                    self.virtual_buses.insert((segment, bus));
                }
                if self.virtual_buses.contains(&(segment, bus)) {
                    return true;
                }
                format!("is on bus {bus:02x}, which a bridge leads to")
            }
            Err(_) => format!("has the requester id {id:#x}, beyond its segment's 16 bits"),
        };
        let (entry, above) = (&self.machine.nodes[node], &self.machine.nodes[physical]);
        self.diagnostics.push(
            Diagnostic::new(Code::BusNumbers, format!("`{}` {fault}", entry.name))
                .device(self.machine, node, format!("`{}`", entry.name))
                .device(
                    self.machine,
                    physical,
                    format!("physical function `{}`", above.name),
                ),
        );
        false
    }

    /// Gives a bridge its subordinate bus number once all below it have theirs; the next free number.
    pub(super) fn close(&mut self, node: usize, frame: &Frame) -> u16 {
        let entry = &self.machine.nodes[node];
        let used = frame.next - 1;
        let spare = used + u16::from(entry.function.buses.spare);
        let wanted = entry.function.buses.subordinate.map_or(spare, u16::from);
        if wanted < spare || wanted > u16::from(frame.last) {
            self.diagnostics.push(
                Diagnostic::new(
                    Code::BusNumbers,
                    format!(
                        "`{}` needs bus numbers up to {spare:02x}, but they end at {:02x}",
                        entry.name,
                        frame.last.min(wanted.min(255) as u8)
                    ),
                )
                .device(self.machine, node, format!("`{}`", entry.name)),
            );
        }
        let subordinate = wanted.max(used).min(255);
        if let Some(buses) = &mut self.placed[node].buses {
            buses.subordinate = subordinate as u8;
        }
        subordinate + 1
    }
}
