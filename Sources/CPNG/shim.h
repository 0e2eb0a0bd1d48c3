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
  char message[160];
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

/* Decodes to interleaved 8-bit channels: 3 (RGB) or 1 (luminance of a grey file; colour files give 3, and the caller
   converts). Alpha is dropped, 16 bits keep their high byte, gamma is ignored, palettes are looked up. On success
   returns 0 and a malloc'ed block in *pixels; else 1 with source->message set. */
static inline int ala_png_decode(ala_png_source *source, size_t most_pixels, unsigned char **pixels,
                                 unsigned int *width, unsigned int *height, int *channels) {
  *pixels = NULL;
  png_bytep *volatile rows = NULL;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, source, ala_png_error, ala_png_warning);
  if (!png) {
    snprintf(source->message, sizeof source->message, "libpng cannot start");
    return 1;
  }
  png_infop info = png_create_info_struct(png);
  if (!info || setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, NULL);
    free((void *)rows);
    free(*pixels);
    *pixels = NULL;
    return 1;
  }
  png_set_read_fn(png, source, ala_png_read);
  png_set_user_limits(png, 1u << 20, 1u << 20);
  png_set_chunk_malloc_max(png, 1u << 26);
  png_read_info(png, info);
  *width = png_get_image_width(png, info);
  *height = png_get_image_height(png, info);
  if ((size_t)*width * *height > most_pixels) png_error(png, "the image has too many pixels");
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  *channels = png_get_channels(png, info);
  if (*channels != 1 && *channels != 3) png_error(png, "the image has an unknown number of channels");
  size_t stride = (size_t)*width * (size_t)*channels;
  if (png_get_rowbytes(png, info) != stride) png_error(png, "the rows have an unexpected length");
  *pixels = (unsigned char *)malloc(stride * *height + 1);
  rows = (png_bytep *)malloc(sizeof(png_bytep) * *height + 1);
  if (!*pixels || !rows) png_error(png, "memory is exhausted");
  for (unsigned int y = 0; y < *height; y++) rows[y] = *pixels + stride * y;
  png_read_image(png, rows);
  png_read_end(png, NULL);
  png_destroy_read_struct(&png, &info, NULL);
  free((void *)rows);
  return 0;
}
