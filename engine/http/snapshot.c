/* GET /snapshot on the admin listener: the newest snapshot as one stream, for an engine that begins (parts.h).
 *
 * Whoever reads it has the state of the cell: hashed keys, amounts, and the seed of the hashes. So it is given only where the operator has named peers
 * (snapshot.peers), and the admin listener is to be kept from everybody else. The bytes come from open files a piece at a time: nothing of the
 * engine is touched, and the snapshot stays whole while its generation is removed. */
#include "http/parts.h"

#include "adapter/snapshot_file.h"

#define PIECE (1u << 18)

struct download {
  struct tide_snapshot_stream *stream;
  struct tide_peer *peer;
};

static ssize_t next_bytes(void *cls, uint64_t pos, char *out, size_t max) {
  struct download *download = cls;
  size_t got = 0;
  (void)pos; /* always where the last call ended */
  if (tide_snapshot_stream_read(download->stream, out, max, &got, NULL) != TIDE_OK) return MHD_CONTENT_READER_END_WITH_ERROR;
  tide_peer_set(download->peer, TIDE_PEER_writing); /* the client goes on taking: its time begins anew */
  return got ? (ssize_t)got : MHD_CONTENT_READER_END_OF_STREAM;
}

static void end_download(void *cls) {
  struct download *download = cls;
  tide_snapshot_stream_close(download->stream);
  tide_free(download);
}

static enum tide_err open_newest(const char *dir, struct tide_snapshot_stream **ret) {
  struct tide_position *position = NULL;
  size_t count = 0;
  enum tide_err err = tide_snapshot_list(dir, &position, &count, NULL);
  if (err == TIDE_OK) err = TIDE_E_NOT_FOUND;
  for (size_t i = 0; i < count && err != TIDE_OK; i++) err = tide_snapshot_stream_open(dir, position[i], ret, NULL);
  tide_free(position);
  return err;
}

bool tide_http_snapshot(struct tide_http *http, struct MHD_Connection *connection, const struct tide_route *route, enum MHD_Result *ret) {
  struct tide_snapshot_stream *stream;
  if (!http->options.snapshots || open_newest(http->options.snapshots, &stream) != TIDE_OK) return false;
  struct download *download = tide_alloc(sizeof *download);
  *download = (struct download){stream, tide_peer_of(connection)};
  struct MHD_Response *response =
      MHD_create_response_from_callback(tide_snapshot_stream_bytes(stream), PIECE, next_bytes, download, end_download);
  if (!response) {
    end_download(download);
    return false;
  }
  bool good = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/octet-stream") == MHD_YES &&
              MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES;
  tide_peer_set(tide_peer_of(connection), TIDE_PEER_writing);
  *ret = good ? MHD_queue_response(connection, MHD_HTTP_OK, response) : MHD_NO;
  MHD_destroy_response(response);
  tide_http_count_request(http->meters, route, MHD_HTTP_OK);
  return true;
}
