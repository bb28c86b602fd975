//! Networks between devices of QEMU, which nothing outside hears.

/// A port of a hub for each model with the property `netdev=LAN.NAME`: those with the same LAN are at one hub. Any other
/// `netdev` is for who runs QEMU to say more of.
pub fn hub_ports<'a>(models: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut hubs: Vec<&str> = Vec::new();
    let ports = models.filter_map(|model| {
        let mut properties = model.split(',');
        let id = properties.find_map(|property| property.trim().strip_prefix("netdev="))?;
        let (hub, _) = id.rsplit_once('.')?;
        let known = hubs.iter().position(|known| *known == hub);
        let number = known.unwrap_or_else(|| {
            hubs.push(hub);
            hubs.len() - 1
        });
        Some(format!("hubport,id={id},hubid={number}"))
    });
    ports.collect()
}

#[cfg(test)]
mod tests {
    use super::hub_ports;

    #[test]
    fn who_has_the_same_network_is_at_one_hub() {
        let models = [
            "e1000e,netdev=lan.a",
            "nvme,serial=a.b",
            "e1000e,mac=52:54:00:00:00:01,netdev=other.lan.a",
            "e1000e,netdev=lan.b,mac=52:54:00:00:00:02",
            "e1000e,netdev=outside",
        ];
        let expected = [
            "hubport,id=lan.a,hubid=0",
            "hubport,id=other.lan.a,hubid=1",
            "hubport,id=lan.b,hubid=0",
        ];
        assert_eq!(hub_ports(models.into_iter()), expected);
    }
}
