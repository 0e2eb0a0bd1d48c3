import Encoder
import FCAM
import Failures
import Foundation
import Machine
import Settings
import Storage

/// The trained classifier that `fcam.classifier` names: a run folder (its best), a checkpoint, or a file of its weights.
///
/// - Parameters:
///   - classes: of the data.
///   - encoder: that the decoder stands on, and the classifier must have been trained on.
/// - Throws: `Failure` 78 where none is named, where it is a network of another kind, or one of another encoder, depth or
///   number of classes; 66 and 65 for the file.
func explainedClassifier(
  _ configuration: Configuration, classes: Int, on encoder: EncoderFile
) throws -> FrozenClassifier {
  guard let given = configuration.fcam.classifier else {
    throw Failure.badConfiguration(
      "model.kind fcam explains a trained classifier, and fcam.classifier names none: train one with model.kind cam, and give its run or checkpoint"
    )
  }
  let path = checkpointPath(given)
  let place = "fcam.classifier \(path)"
  guard FileManager.default.fileExists(atPath: path) else { throw Failure.missingInput("\(place): is missing") }
  let stored = try storedAttributes(path)
  if case .text(let kind)? = stored["network"], kind != NetworkKind.cam.rawValue {
    throw Failure.badConfiguration(
      "\(place): holds a network of kind \(kind); F-CAM's decoder explains one of kind cam")
  }
  try checkEncoder(stored, encoder, path: place)
  if case .text(let text)? = stored["config"] {
    let theirs = try Configuration(resolvedYAML: text, place: place).encoder
    guard theirs.depth ?? encoder.availableDepth == encoder.depth else {
      throw Failure.badConfiguration(
        "\(place): reads the features of block \(theirs.depth ?? encoder.availableDepth), the decoder those of block \(encoder.depth) (encoder.depth)"
      )
    }
  }
  let shapes = ["weight": [classes, encoder.width], "bias": [classes]]
  let tensors = try readModelTensors(path, program: ChildProcess.ownProgram) { listed in
    let theirs = try classCount(stored, listed, path: place)
    guard theirs == classes else {
      throw Failure.badConfiguration("\(place): knows \(theirs) classes, the data or the decoder \(classes)")
    }
    for (name, shape) in shapes.sorted(by: { $0.key > $1.key }) {
      guard let tensor = listed.first(where: { $0.name == "cam.classifier.\(name)" }) else {
        throw Failure.badData("\(place): tensor cam.classifier.\(name) is missing")
      }
      guard tensor.shape == shape else {
        throw Failure.badData("\(place): tensor \(tensor.name) has shape \(tensor.shape); expected \(shape)")
      }
    }
  }
  func values(_ name: String) throws -> [Float] {
    let tensor = tensors.first { $0.name == "cam.classifier.\(name)" }
    guard let tensor, tensor.values.allSatisfy(\.isFinite) else {
      throw Failure.badData("\(place): tensor cam.classifier.\(name) holds values that are not finite")
    }
    return tensor.values
  }
  return FrozenClassifier(
    weight: try values("weight"), bias: try values("bias"),
    sha256: TensorTable(tensors).digest())
}

/// Refuses a decoder that was trained on another classifier.
///
/// - Parameter stored: see `storedAttributes`.
/// - Throws: `Failure` 78, as far as the file says.
public func checkExplained(
  _ stored: [String: HDF5Attribute], _ explains: String?, path: String
) throws {
  guard case .text(let theirs)? = stored["explains_sha256"], let explains, theirs != explains else { return }
  throw Failure.badConfiguration(
    "\(path): explains the classifier of model_sha256 \(theirs.prefix(12))…, fcam.classifier is that of \(explains.prefix(12))…"
  )
}
