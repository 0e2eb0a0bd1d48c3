import CCrypto
import Failures
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

  /// The digest of a file's bytes.
  ///
  /// - Throws: `Failure` 66 where the file cannot be opened, 65 where reading it fails.
  public static func ofFile(_ path: String) throws -> String {
    let hash = SHA256()
    try hash.update(file: path)
    return hash.finish()
  }

  /// Adds a file's bytes, read in pieces of 4 MiB.
  ///
  /// - Throws: `Failure` 66 where the file cannot be opened, 65 where reading it fails.
  public func update(file path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw Failure.missingInput("\(path): cannot be opened: \(systemReason())")
    }
    defer { close(descriptor) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 << 20, alignment: 64)
    defer { buffer.deallocate() }
    while true {
      let count = read(descriptor, buffer.baseAddress, buffer.count)
      guard count >= 0 else {
        throw Failure.badData("\(path): cannot be read: \(systemReason())")
      }
      if count == 0 { return }
      update(UnsafeRawBufferPointer(start: buffer.baseAddress, count: count))
    }
  }
}
