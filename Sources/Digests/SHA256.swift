import CCrypto
import Foundation

/// An incremental SHA-256 (libcrypto's, which uses the processor's SHA instructions).
public final class SHA256 {
  private let context: OpaquePointer

  public init() {
    guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
      preconditionFailure("libcrypto offers no SHA-256")
    }
    self.context = context
  }

  deinit { EVP_MD_CTX_free(context) }

  public func update(_ bytes: UnsafeRawBufferPointer) {
    EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
  }

  public func update(_ text: String) {
    var text = text
    text.withUTF8 { update(UnsafeRawBufferPointer($0)) }
  }

  /// The digest as 64 lower-case hexadecimal digits; the object is spent afterwards.
  public func finish() -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    EVP_DigestFinal_ex(context, &digest, nil)
    return digest.map { String(format: "%02x", $0) }.joined()
  }

  public static func of(_ bytes: UnsafeRawBufferPointer) -> String {
    let hash = SHA256()
    hash.update(bytes)
    return hash.finish()
  }

  public static func of(_ text: String) -> String {
    let hash = SHA256()
    hash.update(text)
    return hash.finish()
  }
}
