/* The OpenAPI document as part of the program: what is served is the file in this folder, byte for byte, whatever directory the program runs in.
 *
 * The assembler takes it in; the Makefile names it as a prerequisite of this object. */
#include "http/parts.h"

__asm__(".section .rodata\n"
        ".global tide_openapi_begin\n"
        ".global tide_openapi_end\n"
        "tide_openapi_begin:\n"
        ".incbin \"engine/http/openapi.yaml\"\n"
        "tide_openapi_end:\n"
        ".byte 0\n"
        ".previous\n");
