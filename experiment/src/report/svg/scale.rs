//! Vertical scales of a plot: where a value stands, and the marks beside the axis.

/// From the bottom of a plot to its top.
pub(super) enum Scale {
    /// A multiple is a distance.
    Log(LogScale),
    /// From nothing to everything, in percent.
    Percent,
}

impl Scale {
    /// A logarithmic scale of these values; none without a value.
    pub(super) fn log(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        LogScale::of(values).map(Self::Log)
    }

    /// 0 at the bottom, 1 at the top.
    pub(super) fn share_of(&self, value: f64) -> f64 {
        match self {
            Self::Log(scale) => scale.share_of(value),
            Self::Percent => value.clamp(0.0, 100.0) / 100.0,
        }
    }

    /// Values to be marked, ascending.
    pub(super) fn marks(&self) -> Vec<f64> {
        match self {
            Self::Log(scale) => scale.marks().collect(),
            Self::Percent => vec![0.0, 25.0, 50.0, 75.0, 100.0],
        }
    }
}

/// From a mark at or below the lowest value to one at or above the highest.
pub(super) struct LogScale {
    low: f64,
    high: f64,
}

impl LogScale {
    /// None without a value.
    fn of(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let low = values.clone().fold(f64::MAX, f64::min);
        let high = values.fold(f64::MIN, f64::max);
        (low <= high).then(|| Self::around(low, high))
    }

    fn around(low: f64, high: f64) -> Self {
        let marks = || (-4..=6).flat_map(|power| [1.0, 2.0, 5.0].map(|step| mark(step, power)));
        let first = marks()
            .filter(|mark| *mark <= low)
            .fold(mark(1.0, -4), f64::max);
        let last = marks()
            .filter(|mark| *mark >= high && *mark > first)
            .fold(mark(1.0, 7), f64::min);
        Self {
            low: first,
            high: last,
        }
    }

    fn marks(&self) -> impl Iterator<Item = f64> {
        let all = (-4..=7).flat_map(|power| [1.0, 2.0, 5.0].map(|step| mark(step, power)));
        all.filter(|mark| (self.low..=self.high).contains(mark))
    }

    fn share_of(&self, value: f64) -> f64 {
        (value.clamp(self.low, self.high) / self.low).ln() / (self.high / self.low).ln()
    }
}

/// Divides for negative powers, so that 0.2 prints as such.
fn mark(step: f64, power: i32) -> f64 {
    if power < 0 {
        step / 10_f64.powi(-power)
    } else {
        step * 10_f64.powi(power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_enclose_the_values() {
        let scale = LogScale::around(0.83, 7.9);
        assert_eq!(
            scale.marks().collect::<Vec<_>>(),
            [0.5, 1.0, 2.0, 5.0, 10.0]
        );
        assert_eq!((scale.share_of(0.5), scale.share_of(10.0)), (0.0, 1.0));
        let flat = LogScale::around(1.0, 1.0);
        assert!(flat.high > flat.low);
    }

    #[test]
    fn percent_goes_from_nothing_to_everything() {
        assert_eq!(
            [0.0, 50.0, 120.0].map(|of| Scale::Percent.share_of(of)),
            [0.0, 0.5, 1.0]
        );
    }
}
