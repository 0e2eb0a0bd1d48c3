#pragma once
/* libpng reports errors by longjmp, which must not cross Swift: decoding stays in C, and returns a text. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const unsigned char *bytes;
  size_t count;
  size_t position;
  /* Whether the compressed data's last checksum is missing, and not to be looked at. */
  int lacks_checksum;
  char message[160];
  png_structp png;
  png_infop info;
  /* What the header tells, after ala_png_begin. */
  unsigned int width;
  unsigned int height;
  int depth;
  int colour_type;
  /* Red, green and blue of each entry of the palette, and how many there are. */
  unsigned char palette[3 * 256];
  int palette_count;
} ala_png_source;

static void ala_png_read(png_structp png, png_bytep target, size_t count) {
  ala_png_source *source = (ala_png_source *)png_get_io_ptr(png);
  if (count > source->count - source->position) png_error(png, "the file ends too early");
  memcpy(target, source->bytes + source->position, count);
  source->position += count;
}

static void ala_png_error(png_structp png, png_const_charp message) {
  ala_png_source *source = (ala_png_source *)png_get_error_ptr(png);
  snprintf(source->message, sizeof source->message, "%s", message);
  longjmp(png_jmpbuf(png), 1);
}

static void ala_png_warning(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static inline void ala_png_end(ala_png_source *source) { png_destroy_read_struct(&source->png, &source->info, NULL); }

/* Reads the header. Returns 0, or 1 with source->message set; ala_png_end must follow either way. */
static inline int ala_png_begin(ala_png_source *source, size_t most_pixels) {
  source->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, source, ala_png_error, ala_png_warning);
  if (!source->png) {
    snprintf(source->message, sizeof source->message, "libpng cannot start");
    return 1;
  }
  source->info = png_create_info_struct(source->png);
  if (!source->info || setjmp(png_jmpbuf(source->png))) return 1;
  png_set_read_fn(source->png, source, ala_png_read);
  png_set_user_limits(source->png, 1u << 20, 1u << 20);
  png_set_chunk_malloc_max(source->png, 1u << 26);
  /* Some writers promise a smaller window than they use; zlib alone, and so Pillow, does not mind. */
  png_set_option(source->png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
  if (source->lacks_checksum) png_set_option(source->png, PNG_IGNORE_ADLER32, PNG_OPTION_ON);
  png_read_info(source->png, source->info);
  source->width = png_get_image_width(source->png, source->info);
  source->height = png_get_image_height(source->png, source->info);
  source->depth = png_get_bit_depth(source->png, source->info);
  source->colour_type = png_get_color_type(source->png, source->info);
  if ((size_t)source->width * source->height > most_pixels) png_error(source->png, "the image has too many pixels");
  png_colorp palette = NULL;
  source->palette_count = 0;
  if (png_get_PLTE(source->png, source->info, &palette, &source->palette_count)) {
    for (int i = 0; i < source->palette_count && i < 256; i++) {
      source->palette[3 * i] = palette[i].red;
      source->palette[3 * i + 1] = palette[i].green;
      source->palette[3 * i + 2] = palette[i].blue;
    }
  }
  return 0;
}

/* Decodes into memory for height rows of row_bytes bytes.

   is_raw 0: interleaved 8-bit channels, 3 (RGB) or 1 (grey files); alpha is dropped, 16 bits keep their high byte,
   gamma is ignored, palettes are looked up. is_raw 1: palette files as their indices, a byte each; grey files of 16
   bits as they are, high byte first; all others as with 0.
   Returns 0, or 1 with source->message set. */
static inline int ala_png_finish(ala_png_source *source, int is_raw, size_t row_bytes, unsigned char *pixels) {
  png_structp png = source->png;
  png_bytep *volatile rows = NULL;
  if (setjmp(png_jmpbuf(png))) {
    free((void *)rows);
    return 1;
  }
  if (is_raw && source->colour_type == PNG_COLOR_TYPE_PALETTE) {
    png_set_packing(png);
  } else {
    png_set_expand(png);
    if (!is_raw || (source->colour_type & PNG_COLOR_MASK_COLOR)) png_set_strip_16(png);
    png_set_strip_alpha(png);
  }
  png_set_interlace_handling(png);
  png_read_update_info(png, source->info);
  if (png_get_rowbytes(png, source->info) != row_bytes) png_error(png, "the rows have an unexpected length");
  rows = (png_bytep *)malloc(sizeof(png_bytep) * source->height + 1);
  if (!rows) png_error(png, "memory is exhausted");
  for (unsigned int y = 0; y < source->height; y++) rows[y] = pixels + row_bytes * y;
  png_read_image(png, rows);
  png_read_end(png, NULL);
  free((void *)rows);
  return 0;
}

/* A PNG file that is written rows at a time; the caller takes its bytes away as they come. */
typedef struct {
  png_structp png;
  png_infop info;
  unsigned char *bytes;
  size_t count;
  size_t room;
  char message[160];
} ala_png_target;

static void ala_png_append(png_structp png, png_bytep data, size_t count) {
  ala_png_target *target = (ala_png_target *)png_get_io_ptr(png);
  if (target->count + count > target->room) {
    size_t room = 2 * (target->count + count);
    unsigned char *bytes = (unsigned char *)realloc(target->bytes, room);
    if (!bytes) png_error(png, "memory is exhausted");
    target->bytes = bytes;
    target->room = room;
  }
  memcpy(target->bytes + target->count, data, count);
  target->count += count;
}

static void ala_png_flush(png_structp png) { (void)png; }

static void ala_png_target_error(png_structp png, png_const_charp message) {
  ala_png_target *target = (ala_png_target *)png_get_error_ptr(png);
  snprintf(target->message, sizeof target->message, "%s", message);
  longjmp(png_jmpbuf(png), 1);
}

/* channels: 3 (RGB) or 1 (grey), 8 bits each. is_fast: compresses less, in a fraction of the time.
   Returns 0, or 1 with target->message set; ala_png_target_end must follow either way. */
static inline int ala_png_target_begin(ala_png_target *target, unsigned int width, unsigned int height, int channels,
                                       int is_fast) {
  memset(target, 0, sizeof *target);
  target->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, target, ala_png_target_error, ala_png_warning);
  if (!target->png) {
    snprintf(target->message, sizeof target->message, "libpng cannot start");
    return 1;
  }
  target->info = png_create_info_struct(target->png);
  if (!target->info || setjmp(png_jmpbuf(target->png))) return 1;
  png_set_write_fn(target->png, target, ala_png_append, ala_png_flush);
  png_set_user_limits(target->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_IHDR(target->png, target->info, width, height, 8, channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_sRGB(target->png, target->info, PNG_sRGB_INTENT_PERCEPTUAL);
  if (is_fast) {
    png_set_compression_level(target->png, 1);
    enum { run_lengths = 3 }; /* zlib's Z_RLE */
    png_set_compression_strategy(target->png, run_lengths);
    png_set_filter(target->png, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB);
  }
  png_write_info(target->png, target->info);
  return 0;
}

static inline int ala_png_target_rows(ala_png_target *target, const unsigned char *rows, size_t row_bytes,
                                      unsigned int count) {
  if (setjmp(png_jmpbuf(target->png))) return 1;
  for (unsigned int i = 0; i < count; i++) png_write_row(target->png, rows + row_bytes * i);
  return 0;
}

static inline int ala_png_target_finish(ala_png_target *target) {
  if (setjmp(png_jmpbuf(target->png))) return 1;
  png_write_end(target->png, target->info);
  return 0;
}

static inline void ala_png_target_end(ala_png_target *target) {
  png_destroy_write_struct(&target->png, &target->info);
  free(target->bytes);
  target->bytes = NULL;
}
