/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A library that needs OpenSSL, for whoever loads it. */
void *EVP_MD_CTX_new(void);
__attribute__((visibility("default"))) void *digest_new(void);

void *digest_new(void)
{
    void *digest = EVP_MD_CTX_new();
    return digest;
}
