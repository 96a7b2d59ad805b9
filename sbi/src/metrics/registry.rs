//! Where metrics are made: each with its help, unit and labels, so that `/metrics` and `docs/metrics.md` say the same.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Metric, MetricFamily, MetricType};
use prometheus::{
    CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, PullingGauge,
};

/// Upper bounds of the buckets of times: 10 us to 10 s, six in a decade, so that a quantile is told within a quarter.
const TIME_BUCKETS: [f64; 37] = [
    1e-5, 1.5e-5, 2e-5, 3e-5, 5e-5, 7e-5, 1e-4, 1.5e-4, 2e-4, 3e-4, 5e-4, 7e-4, 1e-3, 1.5e-3, 2e-3,
    3e-3, 5e-3, 7e-3, 1e-2, 1.5e-2, 2e-2, 3e-2, 5e-2, 7e-2, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0,
    1.5, 2.0, 3.0, 5.0, 7.0, 10.0,
];
/// Upper bounds of the buckets of counts.
const COUNT_BUCKETS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// A label's name, and what its values are.
pub type Label = (&'static str, &'static str);

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// The current value.
    Gauge,
    /// Counts of observations by size.
    Histogram,
}

impl Kind {
    /// The name in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What is known of a metric before it has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name, with unit and kind in it.
    pub name: &'static str,
    /// A sentence.
    pub help: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its labels; the values of each are a bounded set.
    pub labels: &'static [Label],
}

/// A counter that is read when somebody looks.
#[derive(Clone)]
struct ReadSum {
    description: Desc,
    value: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl Collector for ReadSum {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.description]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut counter = Counter::default();
        counter.set_value((self.value)());
        let mut metric = Metric::default();
        metric.set_counter(counter);
        let mut family = MetricFamily::default();
        family.set_name(self.description.fq_name.clone());
        family.set_help(self.description.help.clone());
        family.set_field_type(MetricType::COUNTER);
        family.set_metric(vec![metric]);
        vec![family]
    }
}

/// The metrics of a process. Clones share them.
#[derive(Clone, Default)]
pub struct Registry {
    exported: prometheus::Registry,
    definitions: Arc<Mutex<Vec<Definition>>>,
}

const VALID: &str = "names and labels are constants that are valid and different";

/// Every method that makes a metric panics if its name is taken or no name: they are constants, and a test makes them all.
#[expect(
    missing_docs,
    reason = "each makes the kind of metric that it is named after"
)]
impl Registry {
    pub fn counter(&self, name: &'static str, help: &'static str) -> IntCounter {
        self.define(Kind::Counter, name, help, &[]);
        self.exported(IntCounter::new(name, help).expect(VALID))
    }

    pub fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [Label],
    ) -> IntCounterVec {
        self.define(Kind::Counter, name, help, labels);
        self.exported(IntCounterVec::new(Opts::new(name, help), &names(labels)).expect(VALID))
    }

    /// A counter of something that is no whole number, such as seconds.
    pub fn sums(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [Label],
    ) -> CounterVec {
        self.define(Kind::Counter, name, help, labels);
        let sums = CounterVec::new(Opts::new(name, help), &names(labels));
        self.exported(sums.expect(VALID))
    }

    pub fn gauge(&self, name: &'static str, help: &'static str) -> IntGauge {
        self.define(Kind::Gauge, name, help, &[]);
        self.exported(IntGauge::new(name, help).expect(VALID))
    }

    pub fn gauges(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [Label],
    ) -> IntGaugeVec {
        self.define(Kind::Gauge, name, help, labels);
        self.exported(IntGaugeVec::new(Opts::new(name, help), &names(labels)).expect(VALID))
    }

    /// A gauge that is read when somebody looks.
    pub fn read(
        &self,
        name: &'static str,
        help: &'static str,
        value: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.define(Kind::Gauge, name, help, &[]);
        let value = Box::new(move || value() as f64);
        self.exported(PullingGauge::new(name, help, value).expect(VALID));
    }

    /// A counter that is read when somebody looks, of something that is no whole number.
    pub fn read_sum(
        &self,
        name: &'static str,
        help: &'static str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.define(Kind::Counter, name, help, &[]);
        let description = Desc::new(name.to_owned(), help.to_owned(), Vec::new(), HashMap::new());
        self.exported(ReadSum {
            description: description.expect(VALID),
            value: Arc::new(value),
        });
    }

    /// A histogram of times from 10 us to 10 s.
    pub fn times(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [Label],
    ) -> HistogramVec {
        self.define(Kind::Histogram, name, help, labels);
        let options = HistogramOpts::new(name, help).buckets(TIME_BUCKETS.to_vec());
        self.exported(HistogramVec::new(options, &names(labels)).expect(VALID))
    }

    /// A histogram of times without labels.
    pub fn time(&self, name: &'static str, help: &'static str) -> Histogram {
        self.times(name, help, &[]).with_label_values::<&str>(&[])
    }

    /// A histogram of counts from 1 to 1000.
    pub fn sizes(&self, name: &'static str, help: &'static str) -> Histogram {
        self.define(Kind::Histogram, name, help, &[]);
        let options = HistogramOpts::new(name, help).buckets(COUNT_BUCKETS.to_vec());
        self.exported(Histogram::with_opts(options).expect(VALID))
    }

    fn exported<M: Collector + Clone + 'static>(&self, metric: M) -> M {
        self.exported
            .register(Box::new(metric.clone()))
            .expect(VALID);
        metric
    }

    fn define(&self, kind: Kind, name: &'static str, help: &'static str, labels: &'static [Label]) {
        self.with_definitions(|definitions| {
            definitions.push(Definition {
                name,
                help,
                kind,
                labels,
            });
        });
    }

    /// All metrics, in the order in which they were made.
    pub fn definitions(&self) -> Vec<Definition> {
        self.with_definitions(|definitions| definitions.clone())
    }

    /// All values, as they are now.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.exported.gather()
    }

    /// A list has no state in between that a panic could leave broken.
    fn with_definitions<T>(&self, act: impl FnOnce(&mut Vec<Definition>) -> T) -> T {
        act(&mut self
            .definitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}

fn names(labels: &'static [Label]) -> Vec<&'static str> {
    labels.iter().map(|(name, _)| *name).collect()
}
