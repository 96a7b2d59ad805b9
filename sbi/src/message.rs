//! Request bodies that are JSON alone or JSON with binary parts (TS 29.502 and 29.518: N1 and N2 messages).

use hyper::header::CONTENT_TYPE;

use crate::model::{Document, RefToBinaryData};
use crate::multipart::{Multipart, is_multipart};
use crate::problem::Problem;
use crate::server::Request;

/// Octets of a request with such a body: two binary parts of a few hundred and a JSON part of 2 KiB.
pub const MAX_MESSAGE: usize = 32 * 1024;

/// A body: its JSON, and its parts if there are some.
#[derive(Clone, Debug)]
pub struct Message<T> {
    /// The JSON.
    pub data: T,
    parts: Option<Multipart>,
}

impl<T: Document> Message<T> {
    /// Reads `multipart/related`, or `application/json` without parts.
    ///
    /// # Errors
    /// `415`, or `400` with the information elements at fault.
    pub fn read(request: &Request) -> Result<Self, Problem> {
        let content_type = request.headers.get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let Some(content_type) = content_type.filter(|content_type| is_multipart(content_type))
        else {
            return Ok(Self {
                data: request.document()?,
                parts: None,
            });
        };
        let parts = Multipart::parse(content_type, &request.body)
            .map_err(|error| Problem::invalid_msg_format(error.to_string()))?;
        Ok(Self {
            data: T::read(&parts.root().body)?,
            parts: Some(parts),
        })
    }

    /// Whether it came with parts.
    pub const fn has_parts(&self) -> bool {
        self.parts.is_some()
    }

    /// Refuses a reference, in the member at `pointer`, to a part that is not there.
    ///
    /// # Errors
    /// `400`.
    pub fn require_part(
        &self,
        reference: Option<&RefToBinaryData>,
        pointer: &str,
    ) -> Result<(), Problem> {
        let is_there = |reference: &RefToBinaryData| {
            let parts = self.parts.as_ref();
            parts.is_some_and(|parts| parts.part(&reference.content_id).is_some())
        };
        match reference {
            Some(reference) if !is_there(reference) => Err(Problem::mandatory_ie_incorrect(
                pointer,
                "names no part of the message",
            )),
            _ => Ok(()),
        }
    }
}
