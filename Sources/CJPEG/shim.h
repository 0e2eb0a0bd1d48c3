#pragma once
/* libjpeg reports errors by a callback that must not return, and longjmp must not cross Swift: every call that can fail
   stays in C, and returns a text. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

typedef struct {
  struct jpeg_error_mgr manager;
  jmp_buf back;
  char *message;
} ala_jpeg_error;

enum { ala_jpeg_message_size = JMSG_LENGTH_MAX };

static void ala_jpeg_fail(j_common_ptr codec) {
  ala_jpeg_error *error = (ala_jpeg_error *)codec->err;
  codec->err->format_message(codec, error->message);
  longjmp(error->back, 1);
}

/* Warnings are of oddities that decoding survives; a file that ends early is found by the source running dry. */
static void ala_jpeg_quiet(j_common_ptr codec) { (void)codec; }

static void ala_jpeg_start_source(j_decompress_ptr codec) { (void)codec; }

/* No more bytes: suspends the decoder, whose calls then say that they are not done. */
static boolean ala_jpeg_run_dry(j_decompress_ptr codec) {
  (void)codec;
  return FALSE;
}

static void ala_jpeg_skip(j_decompress_ptr codec, long count) {
  struct jpeg_source_mgr *source = codec->src;
  if (count <= 0) return;
  size_t step = (size_t)count < source->bytes_in_buffer ? (size_t)count : source->bytes_in_buffer;
  source->next_input_byte += step;
  source->bytes_in_buffer -= step;
}

/* No photograph has so many scans; a file that does would keep a processor busy for hours. */
enum { ala_jpeg_most_scans = 500 };

static void ala_jpeg_watch(j_common_ptr codec) {
  if (codec->is_decompressor && ((j_decompress_ptr)codec)->input_scan_number > ala_jpeg_most_scans) {
    ala_jpeg_error *error = (ala_jpeg_error *)codec->err;
    snprintf(error->message, ala_jpeg_message_size, "it has more than %d scans", ala_jpeg_most_scans);
    longjmp(error->back, 1);
  }
}

/* Decodes to rows of interleaved 8-bit channels: 3 (RGB), or 4 (CMYK as stored) where the file has four.

   room: gives the memory for width x height x channels bytes, or NULL with a text in message.
   message: of at least ala_jpeg_message_size bytes.
   Returns 0, or 1 with a text in message. */
static inline int ala_jpeg_decode(const unsigned char *bytes, size_t count, char *message, void *context,
                                  unsigned char *(*room)(void *context, unsigned int width, unsigned int height,
                                                         int channels, char *message)) {
  struct jpeg_decompress_struct codec;
  ala_jpeg_error error;
  struct jpeg_progress_mgr progress;
  struct jpeg_source_mgr source;
  memset(&codec, 0, sizeof codec);
  memset(&progress, 0, sizeof progress);
  memset(&source, 0, sizeof source);
  codec.err = jpeg_std_error(&error.manager);
  error.manager.error_exit = ala_jpeg_fail;
  error.manager.output_message = ala_jpeg_quiet;
  error.message = message;
  if (setjmp(error.back)) {
    jpeg_destroy_decompress(&codec);
    return 1;
  }
  jpeg_create_decompress(&codec);
  progress.progress_monitor = ala_jpeg_watch;
  codec.progress = &progress;
  source.init_source = ala_jpeg_start_source;
  source.fill_input_buffer = ala_jpeg_run_dry;
  source.skip_input_data = ala_jpeg_skip;
  source.resync_to_restart = jpeg_resync_to_restart;
  source.term_source = ala_jpeg_start_source;
  source.next_input_byte = bytes;
  source.bytes_in_buffer = count;
  codec.src = &source;
  int is_whole = jpeg_read_header(&codec, TRUE) == JPEG_HEADER_OK;
  if (is_whole) {
    int channels = codec.num_components == 4 ? 4 : 3;
    codec.out_color_space = channels == 4 ? JCS_CMYK : JCS_RGB;
    /* An oversight of the file costs no memory: the size is looked at first. */
    unsigned char *pixels = room(context, codec.image_width, codec.image_height, channels, message);
    if (!pixels) longjmp(error.back, 1);
    is_whole = jpeg_start_decompress(&codec);
    while (is_whole && codec.output_scanline < codec.output_height) {
      JSAMPROW row = pixels + (size_t)codec.output_scanline * codec.output_width * (size_t)channels;
      is_whole = jpeg_read_scanlines(&codec, &row, 1) == 1;
    }
    is_whole = is_whole && jpeg_finish_decompress(&codec);
  }
  if (!is_whole) {
    snprintf(message, ala_jpeg_message_size, "the file ends too early");
    longjmp(error.back, 1);
  }
  jpeg_destroy_decompress(&codec);
  return 0;
}

/* Encodes rows of RGB without subsampling. On success returns 0 and a malloc'ed block in *bytes; else 1 with a text in
   message. */
static inline int ala_jpeg_encode(const unsigned char *pixels, unsigned int width, unsigned int height, int quality,
                                  unsigned char **bytes, unsigned long *count, char *message) {
  struct jpeg_compress_struct codec;
  ala_jpeg_error error;
  memset(&codec, 0, sizeof codec);
  *bytes = NULL;
  *count = 0;
  codec.err = jpeg_std_error(&error.manager);
  error.manager.error_exit = ala_jpeg_fail;
  error.manager.output_message = ala_jpeg_quiet;
  error.message = message;
  if (setjmp(error.back)) {
    jpeg_destroy_compress(&codec);
    free(*bytes);
    *bytes = NULL;
    return 1;
  }
  jpeg_create_compress(&codec);
  jpeg_mem_dest(&codec, bytes, count);
  codec.image_width = width;
  codec.image_height = height;
  codec.input_components = 3;
  codec.in_color_space = JCS_RGB;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, quality, TRUE);
  for (int channel = 0; channel < 3; channel++) {
    codec.comp_info[channel].h_samp_factor = 1;
    codec.comp_info[channel].v_samp_factor = 1;
  }
  jpeg_start_compress(&codec, TRUE);
  while (codec.next_scanline < height) {
    JSAMPROW row = (JSAMPROW)(pixels + (size_t)codec.next_scanline * width * 3);
    jpeg_write_scanlines(&codec, &row, 1);
  }
  jpeg_finish_compress(&codec);
  jpeg_destroy_compress(&codec);
  return 0;
}
