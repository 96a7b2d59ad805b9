#!/usr/bin/env python3
"""Opens TLS connections to a network function of a lab with OpenSSL, a client that shares no code with the lab's.

It authenticates as an NF instance of the lab, by one of its X.509 credentials, and verifies the server. What it prints, as
one line of JSON, are OpenSSL's own figures: bytes read and written until the handshake was complete, the same by handshake
message (type numbers of RFC 8446), and the time from the established TCP connection to the complete handshake.

Python's ssl module cannot say in ClientHello which CAs the client trusts, by which the lab chooses the certificate that it
serves: so libssl is called directly. Needs libssl 3 (Debian: libssl3); exit status 3 if it is not there.
"""
import argparse
import base64
import ctypes
import ctypes.util
import json
import os
import socket
import ssl
import sys
import tempfile
import time

# include/openssl/ssl.h, tls1.h, bio.h
SSL_CTRL_SET_TLSEXT_HOSTNAME = 55
SSL_CTRL_SET_GROUPS_LIST = 92
SSL_CTRL_SET_MIN_PROTO_VERSION = 123
SSL_CTRL_SET_SESS_CACHE_MODE = 44
SSL_CTRL_MODE = 33
SSL_MODE_NO_AUTO_CHAIN = 8
SSL_FILETYPE_PEM = 1
SSL_VERIFY_PEER = 1
TLS1_3_VERSION = 0x0304
X509_V_OK = 0
CONTENT_HANDSHAKE = 22

MESSAGE_CALLBACK = ctypes.CFUNCTYPE(
    None, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p
)


def library():
    try:
        ssl_library, crypto = ctypes.CDLL("libssl.so.3"), ctypes.CDLL("libcrypto.so.3")
    except OSError as error:
        print(f"no OpenSSL 3: {error}", file=sys.stderr)
        sys.exit(3)
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    functions = {
        "TLS_client_method": (pointer,),
        "SSL_CTX_new": (pointer, pointer),
        "SSL_CTX_ctrl": (ctypes.c_long, pointer, number, ctypes.c_long, pointer),
        "SSL_CTX_use_certificate_chain_file": (number, pointer, text),
        "SSL_CTX_use_PrivateKey_file": (number, pointer, text, number),
        "SSL_CTX_load_verify_locations": (number, pointer, text, text),
        "SSL_load_client_CA_file": (pointer, text),
        "SSL_CTX_set0_CA_list": (None, pointer, pointer),
        "SSL_CTX_set_verify": (None, pointer, number, pointer),
        "SSL_CTX_set_alpn_protos": (number, pointer, text, ctypes.c_uint),
        "SSL_CTX_set_msg_callback": (None, pointer, MESSAGE_CALLBACK),
        "SSL_new": (pointer, pointer),
        "SSL_free": (None, pointer),
        "SSL_ctrl": (ctypes.c_long, pointer, number, ctypes.c_long, pointer),
        "SSL_set1_host": (number, pointer, text),
        "SSL_set_fd": (number, pointer, number),
        "SSL_connect": (number, pointer),
        "SSL_shutdown": (number, pointer),
        "SSL_get_verify_result": (ctypes.c_long, pointer),
        "SSL_get_version": (text, pointer),
        "SSL_get_rbio": (pointer, pointer),
        "SSL_get_wbio": (pointer, pointer),
    }
    for name, (result, *arguments) in functions.items():
        function = getattr(ssl_library, name)
        function.restype, function.argtypes = result, arguments
    for name in ("BIO_number_read", "BIO_number_written"):
        function = getattr(crypto, name)
        function.restype, function.argtypes = ctypes.c_uint64, [pointer]
    crypto.ERR_print_errors_fp.argtypes = [pointer]
    return ssl_library, crypto


def credential_files(state, profile, leaf_key, folder):
    """Chain and key of an NF instance's stored credential as PEM files, in a folder that is nobody else's."""
    with open(state) as file:
        credentials = json.load(file)["credentials"]
    credential = next(c for c in credentials if (c["profile"], c["leaf_key"]) == (profile, leaf_key))
    chain, key = os.path.join(folder, "chain.pem"), os.path.join(folder, "key.pem")
    with open(chain, "w") as file:
        file.writelines(ssl.DER_cert_to_PEM_cert(base64.b64decode(der)) for der in credential["chain"])
    with open(key, "w") as file:
        file.write(f"-----BEGIN PRIVATE KEY-----\n{credential['key']}\n-----END PRIVATE KEY-----\n")
    return chain.encode(), key.encode()


class Client:
    def __init__(self, arguments, chain, key):
        self.ssl, self.crypto = library()
        self.name = arguments.name.encode()
        host, port = arguments.server.rsplit(":", 1)
        self.address = (host, int(port))
        self.messages = {"read": {}, "written": {}}
        self.callback = MESSAGE_CALLBACK(self.message)
        root = arguments.root.encode()
        context = self.context = self.ssl.SSL_CTX_new(self.ssl.TLS_client_method())
        for step, done in {
            "TLS 1.3": self.ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_3_VERSION, None),
            "group": self.ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_GROUPS_LIST, 0, arguments.group.encode()),
            "chain": self.ssl.SSL_CTX_use_certificate_chain_file(context, chain),
            "key": self.ssl.SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM),
            "root": self.ssl.SSL_CTX_load_verify_locations(context, root, None),
            "ALPN": self.ssl.SSL_CTX_set_alpn_protos(context, b"\x02h2", 3) == 0,
        }.items():
            self.require(done == 1, step)
        # certificate_authorities in ClientHello: by this the lab knows what this client trusts.
        self.ssl.SSL_CTX_set0_CA_list(context, self.ssl.SSL_load_client_CA_file(root))
        # Without this the trusted root would be sent behind a chain that does not need it.
        self.ssl.SSL_CTX_ctrl(context, SSL_CTRL_MODE, SSL_MODE_NO_AUTO_CHAIN, None)
        self.ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, 0, None)
        self.ssl.SSL_CTX_set_verify(context, SSL_VERIFY_PEER, None)
        self.ssl.SSL_CTX_set_msg_callback(context, self.callback)

    def require(self, done, step):
        if not done:
            sys.stderr.flush()
            self.crypto.ERR_print_errors_fp(ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr"))
            sys.exit(f"OpenSSL refused: {step}")

    def message(self, written, _version, content_type, buffer, length, _ssl, _argument):
        if content_type == CONTENT_HANDSHAKE and length > 0:
            kind = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ubyte))[0]
            counts = self.messages["written" if written else "read"]
            counts[kind] = counts.get(kind, 0) + length

    def connect(self):
        """One connection: bytes read, bytes written, seconds."""
        with socket.create_connection(self.address) as tcp:
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self.ssl.SSL_new(self.context)
            self.require(self.ssl.SSL_ctrl(connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, self.name) == 1, "server name")
            self.require(self.ssl.SSL_set1_host(connection, self.name) == 1, "host")
            self.require(self.ssl.SSL_set_fd(connection, tcp.fileno()) == 1, "socket")
            began = time.perf_counter()
            done = self.ssl.SSL_connect(connection)
            seconds = time.perf_counter() - began
            self.require(done == 1, "handshake")
            # A handshake that did not happen verifies as well, so both are asked.
            self.require(self.ssl.SSL_get_verify_result(connection) == X509_V_OK, "verification")
            self.require(self.ssl.SSL_get_version(connection) == b"TLSv1.3", "version")
            read = self.crypto.BIO_number_read(self.ssl.SSL_get_rbio(connection))
            written = self.crypto.BIO_number_written(self.ssl.SSL_get_wbio(connection))
            self.ssl.SSL_shutdown(connection)
            self.ssl.SSL_free(connection)
            return read, written, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", required=True, help="stored credentials of an NF instance, lab/state/amf/ID.json")
    parser.add_argument("--profile", required=True, help="which of them, x509-ecdsa-p256-intermediate")
    parser.add_argument("--leaf-key", required=True, help="and of which key, ecdsa-p256")
    parser.add_argument("--root", required=True, help="whom to trust, lab/x509/ecdsa-p256-intermediate/root.crt")
    parser.add_argument("--server", required=True, help="an SBI, 127.0.0.1:7777")
    parser.add_argument("--name", required=True, help="its FQDN")
    parser.add_argument("--group", default="X25519", help="key exchange, by OpenSSL's name (default: X25519)")
    parser.add_argument("--handshakes", type=int, default=100, help="how many, one after the other (default: 100)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chain, key = credential_files(arguments.state, arguments.profile, arguments.leaf_key, folder)
        client = Client(arguments, chain, key)
        connections = [client.connect() for _ in range(arguments.handshakes)]
    times = sorted(seconds * 1000 for _, _, seconds in connections)
    print(json.dumps({
        "openssl": ssl_version(),
        "handshakes": len(connections),
        "bytes_read": sum(read for read, _, _ in connections),
        "bytes_written": sum(written for _, written, _ in connections),
        "messages_read": client.messages["read"],
        "messages_written": client.messages["written"],
        "handshake_ms": {"p50": quantile(times, 0.5), "p90": quantile(times, 0.9), "p99": quantile(times, 0.99)},
    }))


def quantile(ordered, share):
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3) if ordered else None


def ssl_version():
    crypto = ctypes.CDLL("libcrypto.so.3")
    crypto.OpenSSL_version.restype = ctypes.c_char_p
    return crypto.OpenSSL_version(0).decode()


if __name__ == "__main__":
    main()
