import Foundation
import Images

/// A picture's box as `bounding_boxes.txt` has it: x, y, width, height in the stored picture's pixels.
public struct PixelBox: Equatable, Sendable {
  public let x: Double
  public let y: Double
  public let width: Double
  public let height: Double

  public init(x: Double, y: Double, width: Double, height: Double) {
    (self.x, self.y, self.width, self.height) = (x, y, width, height)
  }
}

/// One box for each picture, of all that files of annotations have.
struct BoxChoice {
  private(set) var boxes: [Int: PixelBox] = [:]
  private(set) var findings = Findings()
  private let images: [PlacedImage]
  private let imageRoot: String
  private var sizes: [Int: (width: Int, height: Int)] = [:]
  /// Pictures whose annotation tells another size.
  private var resized: Set<Int> = []

  /// A box may stick out by what rounding costs, without a word.
  private static let slack = 1.0

  /// - Parameters:
  ///   - root: the tree's, above `imageRoot`.
  ///   - pictures: all of the tree, whether they are images of the set or not.
  init(
    _ files: [BoxFile], images: [PlacedImage], imageRoot: String, prefix: String, root: String, pictures: [String]
  ) {
    (self.images, self.imageRoot) = (images, imageRoot)
    let index = PictureIndex(images.map(\.path), prefix: prefix, parts: images.map(\.part))
    let all = PictureIndex(pictures)
    var candidates: [Int: [(box: PixelBox, isOfClass: Bool, isClipped: Bool)]] = [:]
    for file in files {
      let folder = LabelList.folder(of: file.path, below: root)
      let part = Part(ofListAt: file.path)
      func find(_ name: String) -> PictureIndex.Match {
        index.find(LabelList.relative(name, to: root), listedIn: folder, byLastParts: true, preferring: part)
      }
      for entry in file.badEntries { findings.note(.badEntry, entry.place, entry.words) }
      func isThere(_ name: String) -> Bool {
        all.find(LabelList.relative(name, to: root), listedIn: folder, byLastParts: true) != .none
      }
      for column in file.unusedColumns { findings.note(.unusedColumn, "\(lastPart(of: file.path)): \(column)") }
      let boxed = Set(file.boxes.map(\.name))
      for told in file.pictures {
        switch find(told.name) {
        case .one(let image): if let size = told.size { compareSize(size, of: image) }
        // The box tells of it, too.
        case .none where !boxed.contains(told.name) && !isThere(told.name):
          findings.note(.pictureWithoutFile, told.place)
        default: break
        }
      }
      for one in file.boxes {
        switch find(one.name) {
        case .none:
          findings.note(isThere(one.name) ? .boxOfLeftPicture : .boxWithoutImage, one.place, one.name)
        case .several(let found): findings.note(.boxClash, one.place, "\(one.name), of \(found.count)")
        case .one(let image):
          if let size = one.size { compareSize(size, of: image) }
          guard !resized.contains(image), let candidate = candidate(one, of: image, isNormalised: file.isNormalised)
          else { continue }
          candidates[image, default: []].append(candidate)
        }
      }
    }
    for (image, own) in candidates.sorted(by: { $0.key < $1.key }) { choose(own, of: image) }
  }

  private mutating func size(of image: Int) -> (width: Int, height: Int)? {
    if let known = sizes[image] { return known }
    // One that cannot be read is told of where all pictures are looked at.
    let found = try? imageSize(path: "\(imageRoot)/\(images[image].path)")
    sizes[image] = found
    return found
  }

  private mutating func compareSize(_ told: (width: Double, height: Double), of image: Int) {
    guard !resized.contains(image), let own = size(of: image),
      told.width != Double(own.width) || told.height != Double(own.height)
    else { return }
    resized.insert(image)
    func text(_ number: Double) -> String { Int(exactly: number).map(String.init) ?? "\(number)" }
    findings.note(
      .otherSize, images[image].path,
      "\(text(told.width)) x \(text(told.height)), is \(own.width) x \(own.height)")
  }

  private mutating func candidate(_ one: ListedBox, of image: Int, isNormalised: Bool) -> (
    box: PixelBox, isOfClass: Bool, isClipped: Bool
  )? {
    guard let size = size(of: image) else { return nil }
    let (width, height) = (Double(size.width), Double(size.height))
    guard let box = one.pixels(scale: isNormalised ? (width, height) : (1, 1)) else {
      findings.note(.badBox, one.place, "\(one.name), \(one.numbers.map { "\($0)" }.joined(separator: " "))")
      return nil
    }
    let (x0, y0, x1, y1) = (max(box[0], 0), max(box[1], 0), min(box[0] + box[2], width), min(box[1] + box[3], height))
    guard x1 > x0, y1 > y0 else {
      findings.note(.badBox, one.place, "\(one.name), wholly outside its \(size.width) x \(size.height) pixels")
      return nil
    }
    let sticksOut =
      -box[0] > Self.slack || -box[1] > Self.slack || box[0] + box[2] - width > Self.slack
      || box[1] + box[3] - height > Self.slack
    let isWhole = x0 == box[0] && y0 == box[1] && x1 == box[0] + box[2] && y1 == box[1] + box[3]
    let pixels =
      isWhole
      ? PixelBox(x: box[0], y: box[1], width: box[2], height: box[3])
      : PixelBox(x: x0, y: y0, width: x1 - x0, height: y1 - y0)
    let isOfClass = one.label.map { Self.isAlike($0, images[image].className) } ?? true
    return (pixels, isOfClass, sticksOut)
  }

  private static func isAlike(_ label: String, _ className: String) -> Bool {
    label.trimmingCharacters(in: .whitespaces).lowercased()
      == className.trimmingCharacters(in: .whitespaces).lowercased()
  }

  /// The largest box, of those of the picture's class where there are such; the first of several like it.
  private mutating func choose(_ all: [(box: PixelBox, isOfClass: Bool, isClipped: Bool)], of image: Int) {
    let ofClass = all.filter(\.isOfClass)
    let own = ofClass.isEmpty ? all : ofClass
    var best = own[0]
    for one in own.dropFirst() where one.box.width * one.box.height > best.box.width * best.box.height { best = one }
    boxes[image] = best.box
    if all.count > 1 { findings.note(.severalBoxes, images[image].path, "\(all.count)") }
    if best.isClipped { findings.note(.clippedBox, images[image].path) }
  }
}
