//! The name of a place in an object store.

use std::fmt;

/// Where a log is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects begin with, without a slash at its end.
    pub prefix: String,
    /// URL of a server other than Amazon's; buckets are the first segment of its paths.
    pub endpoint: Option<String>,
    /// The region that signatures name [default: `AWS_REGION` of the environment, or `us-east-1`].
    pub region: Option<String>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}
