//! What the NRF answers on its SBI port, over real HTTP/2 and with the peer's identity given instead of a certificate.

mod access_token;
mod acme;
mod acme_certbot;
mod acme_client;
mod acme_instant;
mod bad_input;
mod bootstrapping;
mod cleartext;
mod cmp;
mod cmp_client;
mod cmp_openssl;
mod counting;
mod discovery;
mod enrolment;
mod management;
mod mtca;
mod nrf;
mod openapi;
mod pods;
mod programs;
mod revocation;
mod subscriptions;
mod transcripts;
mod x509_status;
