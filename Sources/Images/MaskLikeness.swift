/// Whether a picture looks like a segmentation mask, where only its name or place suggests that it is one.

/// More colours than any label image has, and far fewer than any photograph.
private let mostLabelColours = 64

/// Grey, with a palette, or of a few colours. False where it cannot be read.
public func isMaskLike(path: String) -> Bool {
  guard let file = try? ImageFile(path: path) else { return false }
  // A PNG header's type of colour tells most masks without decoding: all but RGB and RGBA (PNG specification, 11.2.2).
  let colourTypePlace = 25
  let types: [UInt8] = [2, 6]
  if file.format == .png, let type = try? file.bytes(at: colourTypePlace, count: 1).first, !types.contains(type) {
    return true
  }
  return (try? decodeImage(path: path)).map { hasFewColours($0, orIsGrey: true) } ?? false
}

/// Of no more colours than label images have, however they are stored. False where it cannot be read.
public func hasFewColours(path: String) -> Bool {
  (try? decodeImage(path: path)).map { hasFewColours($0, orIsGrey: false) } ?? false
}

private func hasFewColours(_ image: RGBImage, orIsGrey: Bool) -> Bool {
  var colours: Set<Int> = []
  var isGrey = orIsGrey
  for place in stride(from: 0, to: image.pixels.count, by: 3) {
    let (red, green, blue) = (Int(image.pixels[place]), Int(image.pixels[place + 1]), Int(image.pixels[place + 2]))
    if colours.count <= mostLabelColours { colours.insert(red << 16 | green << 8 | blue) }
    isGrey = isGrey && red == green && green == blue
    if !isGrey && colours.count > mostLabelColours { return false }
  }
  return true
}
