import Failures
import Foundation

/// Classes of pictures that lie together in the folder of a part, as validation images of ImageNet and Tiny ImageNet do,
/// by a list of that part: its name, or its folder's, tells the part; a line has a picture's name and its class.
struct PartLabels {
  /// The lists, relative to the tree's root.
  private(set) var paths: [String] = []
  /// Those that cannot be read, and why.
  private(set) var broken: [(path: String, words: String)] = []
  /// By the names of pictures, whole and without ending.
  private var labels: [Part: [String: String]] = [:]

  private static let endings: Set = ["txt", "csv", "tsv"]
  /// Of ImageNet's `LOC_val_solution.csv`, whose second column has the class and its boxes.
  private static let nameHeadings = LabelList.pathNames + ["imageid", "image_id"]
  private static let labelHeadings = LabelList.labelNames + ["predictionstring"]

  /// - Parameters:
  ///   - pictures: those of no class folder, with their parts, relative to the root.
  ///   - isListFolder: whether lists are looked for in a folder, given relative to the root.
  init(_ tree: FolderTree, of pictures: [(path: String, part: Part)], isListFolder: (String) -> Bool) {
    let wanted = Dictionary(grouping: pictures, by: \.part).mapValues { pictures in
      Set(pictures.flatMap { [lastPart(of: $0.path), stem(of: lastPart(of: $0.path))] })
    }
    for path in tree.others where Self.endings.contains(ending(of: path).lowercased()) {
      let place = folder(of: path)
      let ownPart = Part(name: lastPart(of: place))
      guard ownPart != nil || isListFolder(place), let part = ownPart ?? Part(ofListAt: path),
        let names = wanted[part], let table = read("\(tree.root)/\(path)", path, of: names),
        let found = Self.labels(table, of: names)
      else { continue }
      paths.append(path)
      labels[part, default: [:]].merge(found) { first, _ in first }
    }
  }

  /// A table; nil where it cannot be read, which is noted where its first lines are of these pictures.
  private mutating func read(_ place: String, _ path: String, of names: Set<String>) -> CSVTable? {
    do {
      return try CSVTable(path: place)
    } catch let failure as Failure {
      let fields = CSVTable.opening(of: place).flatMap(\.self).flatMap { $0.split(separator: " ") }
      if fields.contains(where: { names.contains(lastPart(of: String($0))) }) {
        broken.append((path, failure.words(behind: place)))
      }
      return nil
    } catch {
      return nil
    }
  }

  /// What the lists say of a picture; nil where they do not.
  func label(of path: String, in part: Part) -> String? {
    let name = lastPart(of: path)
    return labels[part]?[name] ?? labels[part]?[stem(of: name)]
  }

  /// nil where the lines are not of these pictures.
  private static func labels(_ table: CSVTable, of names: Set<String>) -> [String: String]? {
    var columns = (name: 0, label: 1, headings: 0)
    if let name = table.column(nameHeadings), let label = table.column(labelHeadings) {
      columns = (name, label, 1)
    }
    guard table.rows[0].fields.count > 1 else { return nil }
    let rows = table.rows.dropFirst(columns.headings).compactMap { row -> (String, String)? in
      let name = lastPart(of: row.fields[columns.name])
      guard names.contains(name), let label = row.fields[columns.label].split(separator: " ").first else { return nil }
      return (name, String(label))
    }
    return rows.isEmpty ? nil : Dictionary(rows) { first, _ in first }
  }
}
