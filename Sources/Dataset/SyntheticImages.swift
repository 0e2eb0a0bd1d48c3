import Failures
import Files
import Foundation
import Images
import Randomness

/// `ala synth`: a small labelled image set in CUB-200-2011's layout, with masks, so that everything runs without a
/// download. The class shows in an object's colour and stripes alone; the object stands off the centre.
public struct SyntheticImages: Sendable {
  public let classes: Int
  public let imagesPerClass: Int
  /// Pixels; images are between 1.2 and 1.6 times this.
  public let side: Int
  public let seed: UInt64

  public init(classes: Int, imagesPerClass: Int, side: Int, seed: UInt64) throws {
    guard (1...200).contains(classes), (2...1000).contains(imagesPerClass), (16...512).contains(side), side % 8 == 0
    else {
      throw Failure.usage(
        "ala synth: expected 1 to 200 classes, 2 to 1000 images per class and a size of 16 to 512 in steps of 8; "
          + "found \(classes), \(imagesPerClass) and \(side)")
    }
    self.classes = classes
    self.imagesPerClass = imagesPerClass
    self.side = side
    self.seed = seed
  }

  /// Writes images, masks, the five text files and `encoder.safetensors` into a folder. What an earlier call has made
  /// there is replaced.
  ///
  /// - Parameter isOverwriting: also where the folder holds files of others.
  /// - Throws: `Failure` 73.
  public func write(to root: String, isOverwriting: Bool = false) throws {
    var folder = OutputFolder(root, of: "synth", isOverwriting: isOverwriting)
    let tables = ["images", "image_class_labels", "train_test_split", "bounding_boxes", "classes"].map { "\($0).txt" }
    let images = (0..<classes).flatMap { label in (0..<imagesPerClass).map { Self.file(label: label, index: $0) } }
    try folder.claim(
      tables + ["encoder.safetensors"] + images.flatMap { ["images/\($0)", "segmentations/\($0)"] }, sharesFolder: false
    )
    try writeFiles(to: root)
    try folder.finish(removesOthers: true)
  }

  private static func className(_ label: Int) -> String {
    String(format: "%03d.Synthetic_%03d", label + 1, label + 1)
  }

  /// Relative to `images/`.
  private static func file(label: Int, index: Int) -> String {
    String(format: "%@/Synthetic_%03d_%04d.png", className(label), label + 1, index + 1)
  }

  private func writeFiles(to root: String) throws {
    var tables = (images: "", labels: "", split: "", boxes: "", classes: "")
    var id = 0
    for label in 0..<classes {
      let name = Self.className(label)
      tables.classes += "\(label + 1) \(name)\n"
      try makeFolder("\(root)/images/\(name)")
      try makeFolder("\(root)/segmentations/\(name)")
      for index in 0..<imagesPerClass {
        id += 1
        let file = Self.file(label: label, index: index)
        let (image, mask, box) = draw(label: label, index: id)
        try writeAtomically(try encodePNG(image), to: "\(root)/images/\(file)")
        try writeAtomically(try encodePNG(mask), to: "\(root)/segmentations/\(file)")
        tables.images += "\(id) \(file)\n"
        tables.labels += "\(id) \(label + 1)\n"
        tables.split += "\(id) \(index % 2 == 0 ? 1 : 0)\n"
        tables.boxes += "\(id) \(box.x0) \(box.y0) \(box.x1 - box.x0) \(box.y1 - box.y0)\n"
      }
    }
    for (name, text) in [
      ("images", tables.images), ("image_class_labels", tables.labels), ("train_test_split", tables.split),
      ("bounding_boxes", tables.boxes), ("classes", tables.classes),
    ] { try writeAtomically(text, to: "\(root)/\(name).txt") }
    try SyntheticEncoder(side: side, seed: seed).write(to: "\(root)/encoder.safetensors")
  }

  /// The two colours of a class: hues spread over the circle, the second half a turn and a bit away.
  private func colours(_ label: Int) -> (SIMD3<Double>, SIMD3<Double>) {
    let hue = Double(label) / Double(classes)
    return (Self.colour(hue: hue, value: 0.95), Self.colour(hue: hue + 0.35, value: 0.75))
  }

  private static func colour(hue: Double, value: Double) -> SIMD3<Double> {
    let h = (hue - hue.rounded(.down)) * 6
    func level(_ shift: Double) -> Double {
      let k = (shift + h).truncatingRemainder(dividingBy: 6)
      return value * (1 - 0.85 * max(0, min(k, 4 - k, 1)))
    }
    return SIMD3(level(5), level(3), level(1)) * 255
  }

  /// One image, its mask and its box: an ellipse with the class's stripes on a grey, blotchy ground.
  private func draw(label: Int, index: Int) -> (RGBImage, GrayImage, Box) {
    var stream = RandomStream(seed: seed, name: "synth", index: UInt64(index))
    let width = Int(Double(side) * stream.uniform(1.2, 1.6))
    let height = Int(Double(side) * stream.uniform(1.2, 1.6))
    let shorter = Double(min(width, height))
    let (rx, ry) = (shorter * stream.uniform(0.16, 0.24), shorter * stream.uniform(0.16, 0.24))
    // On a ring around the centre, inside the evaluation view, so that a centred map explains badly.
    let angle = stream.uniform(0, 2 * .pi)
    let distance = shorter * stream.uniform(0.2, 0.28)
    let (cx, cy) = (Double(width) / 2 + distance * cos(angle), Double(height) / 2 + distance * sin(angle))
    let turn = stream.uniform(0, .pi)
    let (first, second) = colours(label)
    let stripe = Double(side) * 0.09
    let waves = (0..<4).map { _ in
      (stream.uniform(-0.25, 0.25), stream.uniform(-0.25, 0.25), stream.uniform(0, 2 * .pi), stream.uniform(8, 22))
    }
    let ground = stream.uniform(90, 165)

    var pixels = [UInt8](repeating: 0, count: width * height * 3)
    var mask = [UInt8](repeating: 0, count: width * height)
    var box = Box(x0: Double(width), y0: Double(height), x1: 0, y1: 0)
    for y in 0..<height {
      for x in 0..<width {
        let (dx, dy) = (Double(x) + 0.5 - cx, Double(y) + 0.5 - cy)
        let (u, v) = (dx * cos(turn) + dy * sin(turn), dy * cos(turn) - dx * sin(turn))
        let noise = stream.uniform(-14, 14)
        var colour: SIMD3<Double>
        if (u / rx) * (u / rx) + (v / ry) * (v / ry) <= 1 {
          colour = Int((u / stripe).rounded(.down)) % 2 == 0 ? first : second
          mask[y * width + x] = 255
          box.x0 = min(box.x0, Double(x))
          box.y0 = min(box.y0, Double(y))
          box.x1 = max(box.x1, Double(x + 1))
          box.y1 = max(box.y1, Double(y + 1))
        } else {
          var level = ground
          for (fx, fy, phase, amplitude) in waves {
            level += amplitude * sin(fx * Double(x) + fy * Double(y) + phase)
          }
          colour = SIMD3(repeating: level)
        }
        for c in 0..<3 { pixels[(y * width + x) * 3 + c] = UInt8(clamping: Int(colour[c] + noise)) }
      }
    }
    return (
      RGBImage(width: width, height: height, pixels: pixels), GrayImage(width: width, height: height, pixels: mask),
      box
    )
  }
}
