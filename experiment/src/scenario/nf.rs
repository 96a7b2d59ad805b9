//! The processes of a lab, by name.

/// A process of the lab: network functions, or a witness beside the SCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Nf {
    /// NRF and MTCA.
    Nrf,
    /// SCP, the first witness.
    Scp,
    /// AMFs, which generate the load.
    Amf,
    /// SMFs.
    Smf,
    /// AUSFs, UDMs and PCFs; only in a lab whose operations need them.
    Peers,
    /// The distributor of landmarks; only in a lab that has one.
    Distributor,
    /// A further witness; only in a lab that has several.
    Witness(FurtherWitness),
}

impl Nf {
    /// Every process that there may be, in the order in which they are stopped.
    pub const ALL: [Self; 10] = [
        Self::Amf,
        Self::Smf,
        Self::Peers,
        Self::Distributor,
        Self::Scp,
        Self::Witness(FurtherWitness(0)),
        Self::Witness(FurtherWitness(1)),
        Self::Witness(FurtherWitness(2)),
        Self::Witness(FurtherWitness(3)),
        Self::Nrf,
    ];

    /// Name in scenarios, results and file names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nrf => "nrf",
            Self::Scp => "scp",
            Self::Amf => "amf",
            Self::Smf => "smf",
            Self::Peers => "peers",
            Self::Distributor => "distributor",
            Self::Witness(witness) => witness.as_str(),
        }
    }

    /// Subcommand.
    pub const fn command(self) -> &'static str {
        match self {
            Self::Witness(_) => "witness",
            Self::Distributor => "distribute",
            _ => self.as_str(),
        }
    }
}

/// A witness that is a process of its own: the second of a lab, or a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FurtherWitness(u8);

const NAMES: [&str; 4] = ["witness-2", "witness-3", "witness-4", "witness-5"];

/// Most witnesses of a lab, the SCP included: with three of five, two may be down.
pub const MAX_WITNESSES: u8 = NAMES.len() as u8 + 1;

impl FurtherWitness {
    /// Those of a lab with so many witnesses in all.
    pub fn of(witnesses: u8) -> impl Iterator<Item = Self> {
        (0..witnesses.min(MAX_WITNESSES).saturating_sub(1)).map(Self)
    }

    /// Which one it is, the SCP being the first.
    pub const fn number(self) -> u8 {
        self.0 + 2
    }

    const fn as_str(self) -> &'static str {
        NAMES[self.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_witnesses_are_numbered_from_the_second_on() {
        let of = |witnesses| -> Vec<&str> {
            FurtherWitness::of(witnesses)
                .map(|witness| Nf::Witness(witness).as_str())
                .collect()
        };
        assert_eq!(of(1), [""; 0]);
        assert_eq!(of(3), ["witness-2", "witness-3"]);
        assert_eq!(of(MAX_WITNESSES), NAMES);
        for witness in FurtherWitness::of(MAX_WITNESSES) {
            let nf = Nf::Witness(witness);
            assert!(nf.as_str().ends_with(&witness.number().to_string()));
            assert!(Nf::ALL.contains(&nf), "{nf:?}");
            assert_eq!(nf.command(), "witness");
        }
    }
}
