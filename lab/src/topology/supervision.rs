//! The processes of a lab as their supervisor sees them: what they tell, and that they end.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use experiment::scenario::Nf;
use sbi::orders::Order;
use sbi::process::Event;

use super::child::{Child, ChildError};
use super::{Started, Topology, TopologyError};

impl Topology {
    /// Waits for an event of an NF; an error as soon as any process of the lab has ended or failed, or it takes too long.
    pub(super) async fn await_event(
        &mut self,
        nf: Nf,
        is_it: impl Fn(&Event) -> bool,
    ) -> Result<Event, TopologyError> {
        let start_timeout = self.start_timeout();
        let (child, others) = self.part(nf)?;
        tokio::select! {
            event = child.await_event(start_timeout, is_it) => Ok(event?),
            error = first_ending(others) => Err(error.into()),
        }
    }

    /// The next event of an NF; an error as soon as any process of the lab has ended or failed.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// A process was not started, failed or ended.
    pub async fn next_event(&mut self, nf: Nf) -> Result<Event, ChildError> {
        let (awaited, others) = self.part(nf)?;
        tokio::select! {
            event = awaited.next_event() => event,
            error = first_ending(others) => Err(error),
        }
    }

    /// The next event of any process; an error as soon as one has ended or failed.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// A process failed or ended.
    pub async fn next(&mut self) -> Result<(Nf, Event), ChildError> {
        let events = self.children.iter_mut().map(|(nf, child)| {
            Box::pin(async { child.next_event().await.map(|event| (*nf, event)) })
        });
        first(events.collect()).await
    }

    /// Completes when a process of the lab has ended or failed.
    ///
    /// Dropping the future loses nothing.
    pub async fn ended(&mut self) -> ChildError {
        first_ending(&mut self.children).await
    }

    /// The network functions whose processes belong to the lab now.
    pub fn running(&self) -> Vec<Nf> {
        let started = self.children.iter().map(|(nf, _)| *nf);
        started
            .chain(self.joined.iter().map(|(nf, _)| *nf))
            .collect()
    }

    /// The process of an NF.
    ///
    /// # Errors
    /// It was not started.
    pub fn child(&mut self, nf: Nf) -> Result<&mut Child, ChildError> {
        let found = self.children.iter_mut().find(|(started, _)| *started == nf);
        found
            .map(|(_, child)| child)
            .ok_or(ChildError::NotStarted { name: nf.as_str() })
    }

    /// A process, and the others.
    fn part(&mut self, nf: Nf) -> Result<(&mut Child, Vec<&mut Started>), ChildError> {
        let (mut wanted, others): (Vec<_>, Vec<_>) = self
            .children
            .iter_mut()
            .partition(|(started, _)| *started == nf);
        let wanted = wanted
            .pop()
            .ok_or(ChildError::NotStarted { name: nf.as_str() })?;
        Ok((&mut wanted.1, others))
    }

    /// Kills a process at once, without warning (SIGKILL). It is no part of the lab any more until it is restarted.
    ///
    /// # Errors
    /// It was not started, or the system refuses.
    pub async fn kill(&mut self, nf: Nf) -> Result<(), TopologyError> {
        self.child(nf)?.kill().await?;
        self.children.retain(|(started, _)| *started != nf);
        Ok(())
    }

    /// Takes a process out of the lab; the returned future has it drain and end, and kills it if it does not.
    ///
    /// # Errors
    /// It was not started.
    pub fn take_out(&mut self, nf: Nf) -> Result<impl Future<Output = ()> + use<>, ChildError> {
        let position = self.children.iter().position(|(started, _)| *started == nf);
        let position = position.ok_or(ChildError::NotStarted { name: nf.as_str() })?;
        let (_, child) = self.children.swap_remove(position);
        Ok(child.stop())
    }

    /// Gives a process an order.
    ///
    /// # Errors
    /// It was not started, or does not read any more.
    pub async fn order(&mut self, nf: Nf, order: Order) -> Result<(), ChildError> {
        let line =
            serde_json::to_string(&order).expect("orders have string keys and integers only");
        self.child(nf)?.command(&line).await
    }

    /// Every event that tells an endpoint, by NF.
    pub fn endpoints(&mut self) -> Vec<(Nf, Vec<Event>)> {
        self.children
            .iter_mut()
            .map(|(nf, child)| (*nf, child.events().to_vec()))
            .collect()
    }
}

/// Completes when one of the processes has ended or failed.
///
/// Dropping the future loses nothing.
async fn first_ending(children: impl IntoIterator<Item = &mut Started>) -> ChildError {
    let endings = children.into_iter().map(|(_, child)| {
        Box::pin(async {
            loop {
                if let Err(error) = child.next_event().await {
                    return error;
                }
            }
        })
    });
    first(endings.collect()).await
}

/// The output of the future that completes first.
async fn first<F: Future + Unpin>(mut futures: Vec<F>) -> F::Output {
    std::future::poll_fn(move |context| {
        for future in &mut futures {
            if let Poll::Ready(output) = Pin::new(future).poll(context) {
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    })
    .await
}
