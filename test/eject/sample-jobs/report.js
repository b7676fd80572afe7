console.log(`a report for ${process.env.READERS}`);
