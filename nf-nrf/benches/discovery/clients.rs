//! Those who ask and those who change, over connections of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper::Method;
use sbi::client::{Connection, Request};
use sbi::response::{JSON, JSON_PATCH, Response};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::Outcome;
use crate::population::{WANTED, path, query, smf};

/// Connections, and requests at a time on each, as of `h2load -c 8 -m 8`.
pub(crate) const CONNECTIONS: usize = 8;
pub(crate) const AT_A_TIME: usize = 8;
/// Between two requests, or changes, that are due one after the other.
const PACE: Duration = Duration::from_millis(1);
const DEADLINE: Duration = Duration::from_secs(10);

/// What clients run on: one thread, so that their CPU time can be told from that of the NRF.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

pub(crate) async fn connect(addr: SocketAddr) -> Outcome<Arc<Connection>> {
    Ok(Arc::new(
        Connection::connect_cleartext(addr, DEADLINE).await?,
    ))
}

async fn send(connection: &Connection, request: Request) -> Response {
    let answer = connection.send(request, DEADLINE).await;
    let answer = answer.expect("an answer");
    assert!(answer.status.is_success(), "{}", answer.status);
    answer
}

/// Asks once; how many octets the answer has.
pub(crate) async fn ask(connection: &Connection) -> usize {
    let request = Request::new(Method::GET, "nrf", query());
    send(connection, request).await.body.len()
}

/// Registers the instances that the query finds, or registers them anew.
pub(crate) async fn register(connection: &Connection) {
    for number in 0..WANTED {
        let request = Request::new(Method::PUT, "nrf", path(number));
        send(connection, request.json_as(JSON, &smf(number))).await;
    }
}

/// Asks `count` times, as often at once as the connections allow.
pub(crate) async fn batch(connections: &[Arc<Connection>], count: usize) {
    let left = Arc::new(AtomicUsize::new(count));
    let mut clients = JoinSet::new();
    for connection in connections
        .iter()
        .flat_map(|connection| [connection; AT_A_TIME])
    {
        let (connection, left) = (connection.clone(), left.clone());
        clients.spawn(async move {
            let take = |left: usize| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                ask(&connection).await;
            }
        });
    }
    clients.join_all().await;
}

/// Latencies of `count` requests that are due one after the other, whether earlier ones are answered or not.
pub(crate) async fn paced(connection: &Arc<Connection>, count: u32) -> Vec<Duration> {
    let mut asking = JoinSet::new();
    let start = tokio::time::Instant::now();
    for number in 0..count {
        let connection = connection.clone();
        sleep_until(start + PACE * number).await;
        asking.spawn(async move {
            let sent = Instant::now();
            ask(&connection).await;
            sent.elapsed()
        });
    }
    asking.join_all().await
}

/// Changes one instance after the other of those that the query does not find, out of `instances` registered, until `stop`: the `PATCH`
/// of a heartbeat with a new load, and every tenth to another priority, which is stored and which subscribers would hear of. Returns
/// how many were changed in a second.
pub(crate) async fn change(addr: SocketAddr, instances: usize, stop: &AtomicBool) -> Outcome<f64> {
    let connection = connect(addr).await?;
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut changing = JoinSet::new();
    let started = Instant::now();
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let member = if turn % 10 == 0 { "/priority" } else { "/load" };
        let patch = json!([{"op": "add", "path": member, "value": turn % 100}]);
        let number = WANTED + turn % (instances - WANTED);
        let request = Request::new(Method::PATCH, "nrf", path(number)).json_as(JSON_PATCH, &patch);
        let connection = connection.clone();
        changing.spawn(async move { send(&connection, request).await });
        while changing.try_join_next().is_some() {}
        turn += 1;
    }
    changing.join_all().await;
    Ok(turn as f64 / started.elapsed().as_secs_f64())
}
