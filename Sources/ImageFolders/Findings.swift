/// What a look through a folder of images finds beside them: files that are left, and problems that somebody must decide
/// on. Each is named, and each kind is counted.

/// Why a file is no image of the set.
public enum FindingKind: String, CaseIterable, Sendable {
  // What is left without a question.
  case hidden
  case system
  case madeByAla
  case noPicture
  case noClass
  case noPart
  case notListed
  case repeated
  case loop
  case emptyPart
  case annotations
  case maskWithoutImage
  case unlikeMask
  case secondMask
  case boxWithoutImage
  case boxOfLeftPicture
  case pictureWithoutFile
  case unusedList
  case unusedColumn
  case clippedBox
  case severalBoxes
  case turned

  // What stands in the way.
  case otherFormat
  case badList
  case severalLists
  case badEntry
  case unreadableFolder
  case unreadable
  case emptyClass
  case missing
  case outside
  case outsideLink
  case brokenLink
  case namedButLeft
  case badName
  case nameClash
  case classClash
  case labelClash
  case noLabel
  case unknownClass
  case badPart
  case badMask
  case maskClash
  case badBox
  case boxClash
  case otherSize

  /// Whether a set cannot be made as it stands.
  public var isProblem: Bool {
    switch self {
    case .hidden, .system, .madeByAla, .noPicture, .noClass, .noPart, .notListed, .repeated, .loop, .emptyPart,
      .annotations, .maskWithoutImage, .unlikeMask, .secondMask, .boxWithoutImage, .boxOfLeftPicture,
      .pictureWithoutFile, .unusedList, .unusedColumn, .clippedBox, .severalBoxes, .turned:
      false
    default: true
    }
  }

  /// Whether a set can be made without it, where its user says so. A list that is not taken may say anything of any picture.
  public var canBeLeftOut: Bool { ![.badList, .severalLists].contains(self) }

  /// Whether it may be meant otherwise, though it stands in nobody's way.
  public var isSuspicious: Bool {
    [
      .loop, .maskWithoutImage, .unlikeMask, .boxWithoutImage, .boxOfLeftPicture, .pictureWithoutFile, .unusedList,
      .unusedColumn,
    ].contains(self)
  }

  /// What they are, in words.
  public var words: String {
    switch self {
    case .hidden: "hidden files and folders"
    case .system: "files and folders of an operating system or a program"
    case .madeByAla: "folders that ala has made"
    case .noPicture: "files that are no pictures"
    case .noClass: "pictures in no class folder"
    case .noPart: "pictures beside the folders of training, validation and test"
    case .notListed: "pictures that the list of labels does not name"
    case .repeated: "repetitions of what is there already"
    case .loop: "symbolic links to a folder that holds them, which are not followed"
    case .emptyPart: "class folders without pictures, of classes that have some in another part"
    case .annotations: "folders of annotations"
    case .maskWithoutImage: "masks that have no picture's name"
    case .unlikeMask: "pictures that are called as masks are and look like none, taken for neither"
    case .secondMask: "masks of pictures that have another one"
    case .boxWithoutImage: "boxes of pictures that are not there"
    case .boxOfLeftPicture: "boxes of pictures that are there and are no images of the set"
    case .pictureWithoutFile: "pictures that a list of boxes has no box of, and that are not there"
    case .unusedList: "tables and JSON that are no list of labels or boxes, and are not used"
    case .unusedColumn: "columns of lists that are not known, and not used"
    case .clippedBox: "boxes that stick out of their pictures, taken as far as they lie within"
    case .severalBoxes: "pictures with several boxes, of which the largest of their class is taken"
    case .turned: "pictures with an EXIF orientation, which is ignored: their pixels are taken as they are stored"
    case .otherFormat: "pictures that are neither JPEG nor PNG"
    case .badList: "lists of labels or boxes that cannot be read"
    case .severalLists: "lists of labels, of which one can be meant"
    case .badEntry: "entries of lists of boxes that say nothing certain"
    case .unreadableFolder: "folders that cannot be read"
    case .unreadable: "pictures that cannot be read"
    case .emptyClass: "class folders without pictures"
    case .missing: "files that are named but not there"
    case .outside: "files that are named but lie outside the folder"
    case .outsideLink: "symbolic links out of the folder"
    case .brokenLink: "symbolic links to nothing"
    case .namedButLeft: "files that are named but hidden, or of an operating system or a program"
    case .badName: "names that a line of text cannot hold (a line break, a blank at an end, no UTF-8)"
    case .nameClash: "pictures that differ in nothing but the ending of their names, and would share a mask"
    case .classClash: "class folders of one name, but for blanks at its ends or how Unicode writes it"
    case .labelClash: "pictures that are named with two labels or splits"
    case .noLabel: "lines without a label"
    case .unknownClass: "pictures whose list names a class that no folder has"
    case .badPart: "lines whose split is none of train, valid and test"
    case .badMask: "masks that cannot be read or are of another size than their picture"
    case .maskClash: "masks that may be of several pictures"
    case .badBox: "boxes that are none, or lie outside their picture"
    case .boxClash: "boxes that may be of several pictures"
    case .otherSize: "pictures whose annotation tells another width or height than the file has"
    }
  }

  /// What to do; nil where nothing need be done, or the words say it.
  public var remedy: String? {
    switch self {
    case .turned: "turn their pixels where that matters (mogrify -auto-orient)"
    case .badList:
      "mend them, or move them away; others can be named with --labels and --boxes (data.labels, data.boxes)"
    case .severalLists:
      "name it with --labels (data.labels), or call them train.csv, val.csv and test.csv where each is of one part"
    case .otherFormat: "convert them to PNG (mogrify -format png)"
    case .emptyClass: "remove them, or put pictures in"
    case .outside: "give the folder that holds all of them"
    case .outsideLink: "allow them with --follow-links (data.follow_links: true)"
    case .brokenLink: "fetch what they stand for (git annex get, dvc pull), or remove them"
    case .namedButLeft, .badName, .nameClash, .classClash: "rename them"
    case .maskClash: "put them into folders like the pictures'"
    case .boxClash: "name the pictures with their folders"
    case .otherSize: "give boxes of these very files"
    default: nil
    }
  }
}

/// Findings by their kind, each kind's in the order in which they were found.
public struct Findings: Sendable {
  public struct Finding: Sendable {
    /// The file, relative to the folder; or a line of a list.
    public let name: String
    /// What more is to say of it.
    public let detail: String?

    /// On one line.
    public var text: String { onOneLine(detail.map { "\(name) (\($0))" } ?? name) }
  }

  private var byKind: [FindingKind: [Finding]] = [:]
  private static let namedOnes = 5

  public mutating func note(_ kind: FindingKind, _ name: String, _ detail: String? = nil) {
    byKind[kind, default: []].append(Finding(name: name, detail: detail))
  }

  public mutating func add(_ others: Findings) {
    for (kind, findings) in others.byKind { byKind[kind, default: []] += findings }
  }

  /// Those that stand in nobody's way.
  var withoutProblems: Findings {
    var rest = self
    rest.byKind = byKind.filter { !$0.key.isProblem }
    return rest
  }

  /// The same but for some of a kind, by their names.
  func without(_ kind: FindingKind, _ isLeftOut: (String) -> Bool) -> Findings {
    var rest = self
    rest.byKind[kind]?.removeAll { isLeftOut($0.name) }
    if rest.byKind[kind]?.isEmpty == true { rest.byKind[kind] = nil }
    return rest
  }

  /// The same by other names; without those that have none.
  func renamed(_ name: (String) -> String?) -> Findings {
    var rest = self
    rest.byKind = byKind.mapValues { found in
      found.compactMap { one in name(one.name).map { Finding(name: $0, detail: one.detail) } }
    }.filter { !$0.value.isEmpty }
    return rest
  }

  public subscript(kind: FindingKind) -> [Finding] { byKind[kind] ?? [] }

  /// Lines on what may be meant otherwise, as `lines`.
  public var suspicions: [String] { kinds(problems: false).filter(\.isSuspicious).map(line) }

  /// Kinds that were found, in their order.
  ///
  /// - Parameter problems: whether of problems, or of what is left.
  public func kinds(problems: Bool) -> [FindingKind] {
    FindingKind.allCases.filter { $0.isProblem == problems && byKind[$0] != nil }
  }

  public var problemCount: Int { kinds(problems: true).reduce(0) { $0 + self[$1].count } }

  /// A line a kind.
  public func lines(problems: Bool) -> [String] {
    kinds(problems: problems).map(line)
  }

  /// What they are, how many, the first of their names, and what to do.
  public func line(_ kind: FindingKind) -> String {
    let own = self[kind]
    let names = own.prefix(Self.namedOnes).map(\.text).joined(separator: ", ")
    let more = own.count > Self.namedOnes ? " and \(own.count - Self.namedOnes) more" : ""
    return "\(kind.words): \(own.count) (\(names)\(more))\(kind.remedy.map { "; \($0)" } ?? "")"
  }
}
