import Tensor
import Testing

/// Runs a test once by each library of products that the program is linked with (`run.products`); `noteDifference`
/// tells them apart. Only for tests that run one after the other.
public struct EachLibrary: TestTrait, TestScoping {
  public func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let usual = ProductLibrary.current
    for library in ProductLibrary.linked {
      try secureProducts(by: library, threads: 1, limit: nil)
      do {
        try await function()
      } catch {
        try secureProducts(by: usual, threads: 1, limit: nil)
        throw error
      }
    }
    try secureProducts(by: usual, threads: 1, limit: nil)
  }
}

extension Trait where Self == EachLibrary {
  public static var eachLibrary: Self { Self() }
}
