//! What the NRF answers on its SBI port, over real HTTP/2 and with the peer's identity given instead of a certificate.

mod access_token;
mod bootstrapping;
mod cleartext;
mod counting;
mod discovery;
mod enrolment;
mod management;
mod mtca;
mod nrf;
mod subscriptions;
mod transcript;
