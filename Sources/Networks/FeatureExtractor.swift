import Encoder
import Layers
import Tensor

/// The frozen blocks of the encoder over one image at a time: what a feature cache holds of it.
public final class FeatureExtractor: @unchecked Sendable {
  private let encoder: ImageEncoder
  private let trace: EncoderTrace
  private let memory: Buffer
  private let scratch: Buffer

  /// Memory for one image; each thread has its own.
  ///
  /// - Parameters:
  ///   - layers: whose patch tokens are wanted, below `firstLoRABlock`.
  ///   - firstLoRABlock: m of the cache; at most the encoder's.
  public init(_ encoder: ImageEncoder, layers: [Int], firstLoRABlock: Int) {
    self.encoder = encoder
    var layout = Layout()
    trace = EncoderTrace(encoder, layers: layers, first: firstLoRABlock, isTraining: false, in: &layout)
    memory = Buffer(layout.count)
    scratch = Buffer(trace.scratchCount)
  }

  /// h⁽ᵐ⁻¹⁾ [1 + N, D], after `encode`.
  public var tail: ConstFloats { ConstFloats(trace.tail(memory.base)) }
  /// The patch tokens [N, D] of a layer, after `encode`.
  public func feature(_ layer: Int) -> ConstFloats { ConstFloats(trace.patchTokens(layer, memory.base)) }

  /// - Parameter pixels: [S, S, 3].
  public func encode(pixels: UnsafePointer<UInt8>) {
    encoder.patchify(trace.patches(memory.base), pixels: pixels)
    trace.encode(memory.base, scratch: scratch.base)
  }
}
