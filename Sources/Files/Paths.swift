/// The folder of a path's last part; empty where that stands alone, `/` below the root. NSString's own traps on a
/// relative path of one character.
public func parentFolder(of path: String) -> String {
  var rest = path[...]
  while rest.count > 1, rest.last == "/" { rest.removeLast() }
  guard let slash = rest.lastIndex(of: "/") else { return "" }
  var folder = rest[..<slash]
  while folder.count > 1, folder.last == "/" { folder.removeLast() }
  return folder.isEmpty ? "/" : String(folder)
}
