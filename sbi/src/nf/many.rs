//! The same for each of many instances, a bounded number at a time.

use std::future::Future;

use tokio::task::JoinSet;

/// Does all `work`, so many at a time, and returns what came of each in the order of `work`, of which no more is made than is under way.
///
/// Dropping the future ends what is under way.
///
/// # Errors
/// The first that occurs, which ends the others.
pub(super) async fn each<T, E, F>(
    work: impl IntoIterator<Item = F>,
    at_once: usize,
) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let mut under_way = JoinSet::new();
    let mut done = Vec::new();
    for (position, work) in work.into_iter().enumerate() {
        if under_way.len() >= at_once {
            done.extend(next(&mut under_way).await?);
        }
        under_way.spawn(async move { (position, work.await) });
    }
    while !under_way.is_empty() {
        done.extend(next(&mut under_way).await?);
    }
    done.sort_by_key(|(position, _)| *position);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// The next that is done; none if there is none.
async fn next<T, E>(under_way: &mut JoinSet<(usize, Result<T, E>)>) -> Result<Option<(usize, T)>, E>
where
    T: 'static,
    E: 'static,
{
    let Some(ended) = under_way.join_next().await else {
        return Ok(None);
    };
    let (position, result) = ended.expect("the start of an instance does not panic");
    Ok(Some((position, result?)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn results_are_in_order_and_no_more_than_the_bound_are_under_way() {
        let (now, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let work = (0..20_usize).map(|number| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // The later ones are done sooner.
                for _ in 0..(20 - number) {
                    yield_now().await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, ()>(number)
            }
        });
        assert_eq!(each(work, 3).await, Ok((0..20).collect()));
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn the_first_error_ends_the_others() {
        let work = (0..9).map(|number| async move {
            if number == 4 {
                return Err("four");
            }
            std::future::pending::<()>().await;
            Ok(())
        });
        assert_eq!(each(work, 9).await, Err("four"));
    }
}
