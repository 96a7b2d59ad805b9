//! BoringSSL's C interface, as far as a client and a server need it: the only unsafe code, every call beside the contract that it keeps.

use std::ffi::{CStr, CString, NulError, c_int, c_long, c_uint, c_void};
use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::ptr::{self, NonNull};

use boring_sys as ffi;

/// `h2` with its length before it, as ALPN lists have it.
const H2: &[u8] = b"\x02h2";

/// Why there is no handshake.
#[derive(Debug)]
pub(crate) enum Error {
    /// TCP, or a file.
    Io(io::Error),
    /// A name that C cannot have.
    Name(NulError),
    /// BoringSSL's reasons, the first one first, or what it was asked for where it gave none.
    BoringSsl(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Name(error) => error.fmt(f),
            Self::BoringSsl(reasons) => f.write_str(reasons),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<NulError> for Error {
    fn from(error: NulError) -> Self {
        Self::Name(error)
    }
}

/// What BoringSSL says went wrong since it was last asked.
fn reasons(what: &str) -> Error {
    let mut reasons = Vec::new();
    loop {
        // SAFETY: takes an entry of this thread's error queue; needs nothing.
        let code = unsafe { ffi::ERR_get_error() };
        if code == 0 {
            break;
        }
        // SAFETY: any code is allowed; the text, if there is one, is static.
        let text = unsafe { ffi::ERR_reason_error_string(code) };
        if !text.is_null() {
            // SAFETY: not null, and a string of C that lives for ever.
            let text = unsafe { CStr::from_ptr(text) };
            reasons.push(text.to_string_lossy().into_owned());
        }
    }
    if reasons.is_empty() {
        reasons.push(what.to_owned());
    }
    Error::BoringSsl(reasons.join(", "))
}

fn succeeded(result: c_int, what: &str) -> Result<(), Error> {
    if result == 1 {
        Ok(())
    } else {
        Err(reasons(what))
    }
}

/// One end of connections: takes any certificate until it is told whom to trust, and as a server has none until it is given some.
pub(crate) struct End {
    context: NonNull<ffi::SSL_CTX>,
}

/// A handshake.
pub(crate) struct Met {
    pub(crate) version: String,
    pub(crate) cipher: String,
    /// DER of the peer's certificate; none if it has shown none.
    pub(crate) leaf: Option<Vec<u8>>,
}

/// Chooses `h2`, or nothing where that was not offered.
unsafe extern "C" fn select_h2(
    _connection: *mut ffi::SSL,
    chosen: *mut *const u8,
    length: *mut u8,
    offered: *const u8,
    offered_length: c_uint,
    _argument: *mut c_void,
) -> c_int {
    // SAFETY: BoringSSL gives a list of this length that lives during the call, and places to write to; what is written points to static
    // bytes.
    unsafe {
        let offered = std::slice::from_raw_parts(offered, offered_length as usize);
        if !offered.windows(H2.len()).any(|at| at == H2) {
            return ffi::SSL_TLSEXT_ERR_NOACK;
        }
        *chosen = H2[1..].as_ptr();
        *length = H2[0];
    }
    ffi::SSL_TLSEXT_ERR_OK
}

impl End {
    pub(crate) fn new() -> Result<Self, Error> {
        // SAFETY: the method is static; the context is ours and freed once, in drop.
        let context = unsafe { ffi::SSL_CTX_new(ffi::TLS_method()) };
        let context = NonNull::new(context).ok_or_else(|| reasons("SSL_CTX_new"))?;
        let end = Self { context };
        // SAFETY: the context lives; the protocol list is copied, and the callback has no argument. Unlike the other setters the first
        // answers 0 for success.
        let alpn = unsafe {
            ffi::SSL_CTX_set_alpn_select_cb(end.context.as_ptr(), Some(select_h2), ptr::null_mut());
            ffi::SSL_CTX_set_alpn_protos(end.context.as_ptr(), H2.as_ptr(), H2.len())
        };
        succeeded(c_int::from(alpn == 0), "ALPN")?;
        Ok(end)
    }

    /// Sends the extension trust_anchors with this list, identifiers with a length octet before each.
    pub(crate) fn request_trust_anchors(&mut self, list: &[u8]) -> Result<(), Error> {
        // SAFETY: the context lives; the list is copied.
        let set = unsafe {
            ffi::SSL_CTX_set1_requested_trust_anchors(
                self.context.as_ptr(),
                list.as_ptr(),
                list.len(),
            )
        };
        succeeded(set, "not a list of trust anchor IDs")
    }

    /// Requires that certificates verify with this one, DER: a Merkle Tree CA's, or a root's.
    pub(crate) fn trust(&mut self, certificate: &[u8]) -> Result<(), Error> {
        let length = c_long::try_from(certificate.len()).map_err(|_| reasons("a long file"))?;
        let mut start = certificate.as_ptr();
        // SAFETY: reads `length` bytes from `start` and moves it; the certificate is ours and freed below.
        let parsed = unsafe { ffi::d2i_X509(ptr::null_mut(), &mut start, length) };
        let parsed = NonNull::new(parsed).ok_or_else(|| reasons("not a certificate"))?;
        let flags = ffi::X509_V_FLAG_USE_MTC_DRAFT_PLANTS_07 | ffi::X509_V_FLAG_PARTIAL_CHAIN;
        // SAFETY: the context lives, and with it store and parameters, which are its own; the store counts a reference to the
        // certificate of its own, so that ours is freed. No callback is given.
        let (added, set) = unsafe {
            let store = ffi::SSL_CTX_get_cert_store(self.context.as_ptr());
            let added = ffi::X509_STORE_add_cert(store, parsed.as_ptr());
            ffi::X509_free(parsed.as_ptr());
            let parameters = ffi::SSL_CTX_get0_param(self.context.as_ptr());
            let set = ffi::X509_VERIFY_PARAM_set_flags(parameters, flags as _);
            // A server asks for a certificate by this, and wants one by the other; clients pass over that.
            let mode = ffi::SSL_VERIFY_PEER | ffi::SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
            ffi::SSL_CTX_set_verify(self.context.as_ptr(), mode as c_int, None);
            (added, set)
        };
        succeeded(added, "a trusted certificate")?;
        succeeded(set, "Merkle Tree Certificates")
    }

    /// Shows this chain where it fits, before those that are added later: PEM with its certificate properties, by which BoringSSL
    /// chooses, and PEM of its key.
    pub(crate) fn add_credential(&mut self, chain: &[u8], key: &[u8]) -> Result<(), Error> {
        // SAFETY: needs nothing; the credential is ours, freed in drop.
        let credential = unsafe { ffi::SSL_CREDENTIAL_new_x509() };
        let credential = NonNull::new(credential).ok_or_else(|| reasons("a credential"))?;
        let owned = Credential(credential);
        let credential = owned.0.as_ptr();
        let mut certificates = Vec::new();
        for (label, data) in pem(chain)? {
            match label.as_str() {
                // SAFETY: the credential lives and is not used by a context yet; the buffer lives during the call.
                "CERTIFICATE PROPERTIES" => unsafe {
                    let list = Buffer::new(&data)?;
                    let set = ffi::SSL_CREDENTIAL_set1_certificate_properties(
                        credential,
                        list.0.as_ptr(),
                    );
                    succeeded(set, "the certificate properties")?;
                },
                "CERTIFICATE" => certificates.push(Buffer::new(&data)?),
                _ => {}
            }
        }
        let pointers: Vec<_> = certificates.iter().map(|der| der.0.as_ptr()).collect();
        let length = isize::try_from(key.len()).map_err(|_| reasons("a long file"))?;
        // SAFETY: the credential lives; chain and key are counted by it, ours are freed here; BoringSSL asks for no password where no callback is
        // given. The context counts a reference of its own.
        unsafe {
            let set =
                ffi::SSL_CREDENTIAL_set1_cert_chain(credential, pointers.as_ptr(), pointers.len());
            succeeded(set, "a chain")?;
            let file = ffi::BIO_new_mem_buf(key.as_ptr().cast(), length as _);
            let key = ffi::PEM_read_bio_PrivateKey(file, ptr::null_mut(), None, ptr::null_mut());
            ffi::BIO_free(file);
            let key = NonNull::new(key).ok_or_else(|| reasons("a private key"))?;
            let set = ffi::SSL_CREDENTIAL_set1_private_key(credential, key.as_ptr());
            ffi::EVP_PKEY_free(key.as_ptr());
            succeeded(set, "a private key")?;
            let added = ffi::SSL_CTX_add1_credential(self.context.as_ptr(), credential);
            succeeded(added, "a credential")
        }
    }

    /// A handshake with the client at the other end.
    pub(crate) fn accept(&self, tcp: &TcpStream) -> Result<Met, Error> {
        let connection = self.connection(tcp)?;
        let ssl = connection.0.as_ptr();
        // SAFETY: the connection lives, and its socket.
        unsafe {
            if ffi::SSL_accept(ssl) != 1 {
                return Err(verdict(ssl));
            }
            // Tells the client that the connection ends here.
            ffi::SSL_shutdown(ssl);
        }
        connection.met()
    }

    fn connection(&self, tcp: &TcpStream) -> Result<Connection, Error> {
        // SAFETY: the context lives; the connection is ours, freed in drop, and counts a reference to the context.
        let connection = unsafe { ffi::SSL_new(self.context.as_ptr()) };
        let connection = Connection(NonNull::new(connection).ok_or_else(|| reasons("SSL_new"))?);
        // SAFETY: the connection lives; the socket outlives it and is not closed by it.
        let set = unsafe { ffi::SSL_set_fd(connection.0.as_ptr(), tcp.as_raw_fd()) };
        succeeded(set, "the socket")?;
        Ok(connection)
    }

    /// A handshake with the server of this name at the other end.
    pub(crate) fn connect(&self, tcp: &TcpStream, name: &str) -> Result<Met, Error> {
        let name = CString::new(name)?;
        let connection = self.connection(tcp)?;
        let ssl = connection.0.as_ptr();
        // SAFETY: the connection lives, and its socket; the name is a string of C and copied.
        unsafe {
            succeeded(
                ffi::SSL_set_tlsext_host_name(ssl, name.as_ptr()),
                "the server's name",
            )?;
            let parameters = ffi::SSL_get0_param(ssl);
            let length = name.as_bytes().len();
            let set = ffi::X509_VERIFY_PARAM_set1_host(parameters, name.as_ptr(), length);
            succeeded(set, "the server's name")?;
            if ffi::SSL_connect(ssl) != 1 {
                return Err(verdict(ssl));
            }
        }
        connection.met()
    }
}

/// Why a handshake failed, with what was wrong with the peer's certificate.
///
/// # Safety
/// The connection lives.
unsafe fn verdict(ssl: *mut ffi::SSL) -> Error {
    let error = reasons("the connection broke off");
    // SAFETY: the connection lives; the text is static.
    let (verdict, text) = unsafe {
        let verdict = ffi::SSL_get_verify_result(ssl);
        let text = ffi::X509_verify_cert_error_string(verdict);
        (verdict, CStr::from_ptr(text))
    };
    match error {
        Error::BoringSsl(reasons) if verdict != c_long::from(ffi::X509_V_OK) => {
            Error::BoringSsl(format!("{reasons} ({})", text.to_string_lossy()))
        }
        error => error,
    }
}

/// The sections of a PEM file: label and content.
fn pem(file: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let length = isize::try_from(file.len()).map_err(|_| reasons("a long file"))?;
    let mut sections = Vec::new();
    // SAFETY: the file lives as long as the reader of it; what PEM_read_bio allocates is copied, then freed.
    unsafe {
        let reader = ffi::BIO_new_mem_buf(file.as_ptr().cast(), length as _);
        loop {
            let (mut name, mut header) = (ptr::null_mut(), ptr::null_mut());
            let (mut data, mut length) = (ptr::null_mut(), 0);
            if ffi::PEM_read_bio(reader, &mut name, &mut header, &mut data, &mut length) != 1 {
                break;
            }
            let label = CStr::from_ptr(name).to_string_lossy().into_owned();
            let content = std::slice::from_raw_parts(data, length as usize).to_vec();
            sections.push((label, content));
            ffi::OPENSSL_free(name.cast());
            ffi::OPENSSL_free(header.cast());
            ffi::OPENSSL_free(data.cast());
        }
        ffi::BIO_free(reader);
        // Reading ends with an error, which says that there is no further section.
        ffi::ERR_clear_error();
    }
    if sections.is_empty() {
        return Err(reasons("no PEM"));
    }
    Ok(sections)
}

/// Bytes that BoringSSL counts references to.
struct Buffer(NonNull<ffi::CRYPTO_BUFFER>);

impl Buffer {
    fn new(bytes: &[u8]) -> Result<Self, Error> {
        // SAFETY: the bytes are copied; no pool is given.
        let buffer =
            unsafe { ffi::CRYPTO_BUFFER_new(bytes.as_ptr(), bytes.len(), ptr::null_mut()) };
        NonNull::new(buffer)
            .map(Self)
            .ok_or_else(|| reasons("memory"))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: ours, and freed nowhere else.
        unsafe { ffi::CRYPTO_BUFFER_free(self.0.as_ptr()) }
    }
}

struct Credential(NonNull<ffi::SSL_CREDENTIAL>);

impl Drop for Credential {
    fn drop(&mut self) {
        // SAFETY: ours, and freed nowhere else; contexts count references of their own.
        unsafe { ffi::SSL_CREDENTIAL_free(self.0.as_ptr()) }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // SAFETY: ours, and freed nowhere else.
        unsafe { ffi::SSL_CTX_free(self.context.as_ptr()) }
    }
}

struct Connection(NonNull<ffi::SSL>);

impl Connection {
    fn met(&self) -> Result<Met, Error> {
        let ssl = self.0.as_ptr();
        // SAFETY: the connection lives, its handshake is complete; texts are static.
        let (version, cipher) = unsafe {
            let cipher = ffi::SSL_CIPHER_get_name(ffi::SSL_get_current_cipher(ssl));
            (
                CStr::from_ptr(ffi::SSL_get_version(ssl)),
                CStr::from_ptr(cipher),
            )
        };
        // SAFETY: the certificate is ours, freed below; i2d allocates the buffer, which is freed after it was copied.
        let leaf = unsafe {
            let certificate = ffi::SSL_get_peer_certificate(ssl);
            if certificate.is_null() {
                return Ok(Met {
                    version: version.to_string_lossy().into_owned(),
                    cipher: cipher.to_string_lossy().into_owned(),
                    leaf: None,
                });
            }
            let mut buffer = ptr::null_mut();
            let length = ffi::i2d_X509(certificate, &mut buffer);
            ffi::X509_free(certificate);
            let length = usize::try_from(length).map_err(|_| reasons("the certificate"))?;
            let leaf = std::slice::from_raw_parts(buffer, length).to_vec();
            ffi::OPENSSL_free(buffer.cast());
            leaf
        };
        Ok(Met {
            version: version.to_string_lossy().into_owned(),
            cipher: cipher.to_string_lossy().into_owned(),
            leaf: Some(leaf),
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: ours, and freed nowhere else.
        unsafe { ffi::SSL_free(self.0.as_ptr()) }
    }
}
