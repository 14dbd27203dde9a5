//! Record batches that a client sends: the values of parameters.

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use lw_core::Result;

use crate::failures::FLIGHT_BAD_CALL;
use crate::message::FlightData;

const CONTINUATION: [u8; 4] = [0xff; 4];
const ALIGNMENT: usize = 8;

/// Reads the batches of a stream of messages, of which the first carries the schema.
pub fn read_batches(messages: &[FlightData]) -> Result<Vec<RecordBatch>> {
    // A stream in Flight and one in a file differ in their framing alone.
    let mut stream = Vec::new();
    for FlightData { data_header, data_body, .. } in messages.iter().filter(|message| !message.data_header.is_empty()) {
        let padding = data_header.len().next_multiple_of(ALIGNMENT) - data_header.len();
        stream.extend_from_slice(&CONTINUATION);
        stream.extend_from_slice(&u32::try_from(data_header.len() + padding).unwrap_or(u32::MAX).to_le_bytes());
        stream.extend_from_slice(data_header);
        stream.resize(stream.len() + padding, 0);
        stream.extend_from_slice(data_body);
    }
    let unreadable = |error: arrow::error::ArrowError| {
        let error = FLIGHT_BAD_CALL.error("the values of the parameters cannot be read").cause(error);
        error.hint("send them as a stream of Arrow record batches, as drivers do")
    };
    let reader = StreamReader::try_new(stream.as_slice(), None).map_err(unreadable)?;
    reader.collect::<Result<Vec<_>, _>>().map_err(unreadable)
}

/// The one row of values that a statement takes.
pub fn read_row(messages: &[FlightData]) -> Result<Option<RecordBatch>> {
    let batches = read_batches(messages)?;
    let Some(first) = batches.first() else { return Ok(None) };
    let joined = arrow::compute::concat_batches(&first.schema(), &batches);
    let row = joined.map_err(|error| FLIGHT_BAD_CALL.error("the values of the parameters do not fit together").cause(error))?;
    Ok(Some(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_stream_is_refused() {
        let odd = FlightData { flight_descriptor: None, data_header: vec![1; 9].into(), data_body: vec![2].into() };
        for messages in [vec![], vec![odd.clone()], vec![odd.clone(), odd]] {
            assert!(read_batches(&messages).unwrap_err().is(FLIGHT_BAD_CALL));
        }
    }
}
