//! Trying again, ever more slowly, until a deadline: for what depends on a peer that may be down.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Calls `attempt` until it succeeds, fails for good, or the next try would come after `deadline`.
///
/// Dropping the future abandons the attempt under way.
///
/// # Errors
/// The last attempt's.
pub async fn until<T, E, F>(
    deadline: Instant,
    mut attempt: impl FnMut() -> F,
    is_temporary: impl Fn(&E) -> bool,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let next = Instant::now() + pause;
        if !is_temporary(&error) || next > deadline {
            return Err(error);
        }
        sleep_until(next).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tries_until_success_a_final_error_or_the_deadline() {
        let tries = Cell::new(0);
        let attempt = |succeeds_at: u32| {
            let tries = &tries;
            move || {
                tries.set(tries.get() + 1);
                let n = tries.get();
                async move { if n == succeeds_at { Ok(n) } else { Err(n) } }
            }
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        assert_eq!(until(deadline, attempt(4), |_| true).await, Ok(4));
        tries.set(0);
        assert_eq!(until(deadline, attempt(4), |n| *n < 2).await, Err(2));
        tries.set(0);
        let before = Instant::now();
        assert!(until(deadline, attempt(1000), |_| true).await.is_err());
        assert!(before.elapsed() <= Duration::from_secs(10));
    }
}
