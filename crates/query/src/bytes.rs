//! Column buffers as bytes to send.

use arrow::buffer::Buffer;
use bytes::Bytes;

struct Shared(Buffer);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// A buffer's bytes where they lie, without a copy.
pub fn shared_bytes(buffer: Buffer) -> Bytes {
    Bytes::from_owner(Shared(buffer))
}
