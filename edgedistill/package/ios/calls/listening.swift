
func hear(_ chunks: AsyncStream<[Float]>) async throws {
    let model = try await {{module}}.Model.open()
    for await chunk in chunks {
        for heard in try await model.listen(chunk) { print(heard.keyword, heard.seconds) }
    }
    await model.restart()  // the next chunk begins another stream
}
